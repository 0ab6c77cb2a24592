"""Schedules of RedBeat, in its Redis. Only read.

The format is that of redbeat/schedulers.py (`RedBeatSchedulerEntry.save`) and
redbeat/decoder.py. Blocking: for a thread of its own.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any, cast

import redis
from celery import Celery
from celery.schedules import crontab, schedule

from herald_core.model.schedules.spec import MAX_SCHEDULES, REDBEAT
from herald_monitor.celery_client.schedules.planned import (
    ScheduleEntry,
    ScheduleFactory,
    SourceContents,
)

DEFAULT_PREFIX = "redbeat:"
SOCKET_TIMEOUT_S = 4.0
WHAT = "the RedBeat entry"


def has_redbeat_schedules(app: Celery) -> bool:
    """Return True if the settings of `app` name RedBeat."""
    conf = cast(Any, app).conf
    return "redbeat" in str(conf.beat_scheduler).lower() or any(
        str(name).lower().startswith("redbeat_") for name in conf
    )


def read_redbeat_schedules(factory: ScheduleFactory) -> SourceContents:
    """Return the entries in RedBeat's Redis."""
    if not has_redbeat_schedules(factory.app):
        return SourceContents()
    try:
        definitions = _read_definitions(factory.app)
    except Exception as error:  # of redis, and of the settings
        why = f"{type(error).__name__}: {error}".strip().split("\n", 1)[0]
        return SourceContents(problem=f"the entries of RedBeat cannot be read ({why})")
    entries: list[ScheduleEntry] = []
    problem = ""
    for text in definitions:
        try:
            entries.append(_make_entry(json.loads(text, object_hook=_decode_object)))
        except Exception as error:  # an entry may hold anything
            problem = f"{WHAT} {text[:80]!r} cannot be read ({error})"
    read = factory.make_all(REDBEAT, entries, WHAT)
    return SourceContents(read.schedules, read.problem or problem)


def _read_definitions(app: Celery) -> list[str]:
    prefix = str(_get_setting(app, "redbeat_key_prefix") or DEFAULT_PREFIX)
    client = _connect(app)
    keys = client.zrange(f"{prefix}:schedule", 0, MAX_SCHEDULES)
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hget(key, "definition")
        found = pipe.execute()
    return [_to_text(text) for text in found if text]


def _to_text(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _connect(app: Celery) -> Any:
    """Return RedBeat's own client, or one of its URL if it is not installed."""
    try:
        own: object = importlib.import_module("redbeat.schedulers").get_redis(app)
    except ImportError:
        url = _get_setting(app, "redbeat_redis_url") or cast(Any, app).conf.broker_url
        return cast(Any, redis.Redis).from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
        )
    # Its proxy repeats for as long as Redis is away.
    return vars(own).get("wrapped_connection", own)


def _get_setting(app: Celery, name: str) -> object:
    conf = cast(Any, app).conf
    return cast(object, conf.get(name) or conf.get(name.upper()))


def _make_entry(given: Mapping[str, Any]) -> ScheduleEntry:
    return ScheduleEntry(
        name=str(given["name"]),
        task=given["task"],
        schedule=given["schedule"],
        args=given.get("args"),
        kwargs=given.get("kwargs"),
        options=given.get("options"),
        enabled=bool(given.get("enabled", True)),
    )


def _decode_object(given: dict[str, Any]) -> object:
    kind = given.get("__type__")
    fields = {name: value for name, value in given.items() if name != "__type__"}
    if kind == "interval":
        return schedule(run_every=fields["every"], relative=fields["relative"])
    if kind == "crontab":
        return crontab(**fields)
    if kind is not None:
        decoder = importlib.import_module("redbeat.decoder").RedBeatJSONDecoder()
        return decoder.dict_to_object(dict(given))
    return given
