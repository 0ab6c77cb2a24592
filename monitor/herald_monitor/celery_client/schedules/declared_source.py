"""Schedules that are declared in `herald.toml`, as `[schedules.NAME]`.

[schedules.nightly-report]
task = "reports.nightly"
crontab = "0 2 * * *"           # or interval = 300, in seconds
timezone = "Europe/Berlin"
grace = 120
args = ["all"]                  # or kwargs = { kind = "all" }; of any by default
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import crontab, schedule
from msgspec.structs import replace

from herald_core.errors import InvalidInput
from herald_core.model.schedules.spec import DECLARED, MAX_SCHEDULES
from herald_core.system.toml_tables import read_toml_table
from herald_monitor.celery_client.schedules.planned import (
    PlannedSchedule,
    ScheduleEntry,
    ScheduleFactory,
)

KEYS = {
    "task": "The name of the task",
    "crontab": 'When it is due, such as `"0 2 * * *"`',
    "interval": "Seconds between runs, instead of `crontab`",
    "timezone": "The zone of `crontab`; that of the app by default",
    "grace": "Seconds after which a run is late",
    "args": "Positional arguments of its runs; any by default",
    "kwargs": "Keyword arguments of its runs; any by default",
    "queue": "The queue that it is sent to",
}
"""The keys of a table, and what they mean."""

NAME_PATTERN = re.compile(r"[\w.: /-]{1,200}")
MIN_GRACE_S, MAX_GRACE_S = 1.0, 86_400.0
MIN_INTERVAL_S = 1.0


def read_declared_schedules(
    path: Path, factory: ScheduleFactory
) -> tuple[PlannedSchedule, ...]:
    """Return the `[schedules]` of a `herald.toml`. Raises `InvalidInput`."""
    tables = read_toml_table(path, "schedules", "tables [schedules.NAME]")
    if len(tables) > MAX_SCHEDULES:
        raise InvalidInput(f"{path}: more than {MAX_SCHEDULES} schedules")
    return tuple(
        _make_declared(f"{path}: [schedules.{name}]", name, given, factory)
        for name, given in tables.items()
    )


def _make_declared(
    place: str, name: str, given: object, factory: ScheduleFactory
) -> PlannedSchedule:
    if not NAME_PATTERN.fullmatch(name):
        _refuse(place, "must be named with letters, digits, spaces and _ - . : /")
    if not isinstance(given, dict):
        _refuse(place, "must be a table")
    fields = cast("dict[str, Any]", given)
    _check_keys(place, fields)
    planned = _parse_schedule(place, fields, factory.app)
    entry = ScheduleEntry(
        name=name,
        task=fields["task"],
        schedule=planned,
        args=fields.get("args"),
        kwargs=fields.get("kwargs"),
        options={"queue": fields.get("queue")},
        grace=_parse_number(place, fields, "grace", MIN_GRACE_S, MAX_GRACE_S),
    )
    made = factory.make(DECLARED, entry)
    if "args" in fields or "kwargs" in fields:
        return made
    # Without arguments in the table any run of the task counts.
    return PlannedSchedule(replace(made.spec, args=None, kwargs=None), made.next_due)


def _check_keys(place: str, fields: Mapping[str, Any]) -> None:
    for key in fields:
        if key not in KEYS:
            _refuse(place, f"has an unknown key {key!r}; known are {', '.join(KEYS)}")
    if not isinstance(fields.get("task"), str) or not fields["task"]:
        _refuse(place, "needs task, such as task = 'reports.nightly'")
    for key, kind, what in (
        ("args", list, "an array"),
        ("kwargs", dict, "a table"),
        ("queue", str, "a string"),
        ("timezone", str, "a string"),
        ("crontab", str, "a string"),
    ):
        if key in fields and not isinstance(fields[key], kind):
            _refuse(place, f"{key} must be {what}")
    if ("crontab" in fields) == ("interval" in fields):
        _refuse(place, "needs crontab = 'M H DOM MON DOW', or interval = SECONDS")


def _parse_schedule(place: str, fields: Mapping[str, Any], app: Celery) -> object:
    if "interval" in fields:
        seconds = _parse_number(place, fields, "interval", MIN_INTERVAL_S, 366 * 86_400)
        return schedule(run_every=seconds or MIN_INTERVAL_S, app=app)
    parts = fields["crontab"].split()
    if len(parts) != 5:
        _refuse(
            place, "crontab must have five fields: minute, hour, day, month, weekday"
        )
    minute, hour, day, month, weekday = parts
    try:
        planned = crontab(minute, hour, weekday, day, month, app=app)
    except Exception as error:  # of Celery's parser, of several kinds
        _refuse(place, f"crontab {fields['crontab']!r} is not valid: {error}")
    zone = fields.get("timezone")
    if zone is not None:
        planned.__dict__["tz"] = _parse_zone(place, zone)
    return planned


def _parse_zone(place: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        _refuse(place, f"timezone {name!r} is not known; use one such as Europe/Berlin")


def _parse_number(
    place: str, fields: Mapping[str, Any], key: str, least: float, most: float
) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        _refuse(place, f"{key} must be {least:g} to {most:g} seconds")
    return float(value)


def _refuse(place: str, why: str) -> NoReturn:
    raise InvalidInput(f"{place} {why}")
