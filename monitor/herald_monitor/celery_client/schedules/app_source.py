"""Schedules of the app: its setting `beat_schedule`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from herald_core.model.schedules.spec import APP
from herald_monitor.celery_client.schedules.planned import (
    ScheduleEntry,
    ScheduleFactory,
    SourceContents,
)

WHAT = "the entry of beat_schedule"


def read_app_schedules(factory: ScheduleFactory) -> SourceContents:
    """Return the schedules of the app's `beat_schedule`.

    What `add_periodic_task` added while the project was imported is in it.
    """
    try:
        declared = cast(Any, factory.app).conf.beat_schedule
        entries = [_read_entry(str(name), one) for name, one in dict(declared).items()]
    except Exception as error:  # a setting of the project
        return SourceContents(
            problem=f"beat_schedule cannot be read ({type(error).__name__}: {error})"
        )
    return factory.make_all(APP, entries, WHAT)


def _read_entry(name: str, declared: Any) -> ScheduleEntry:
    given: Mapping[str, Any] = (
        cast("Mapping[str, Any]", declared)
        if isinstance(declared, Mapping)
        else dict(declared)
    )
    return ScheduleEntry(
        name=name,
        task=given["task"],
        schedule=given["schedule"],
        args=given.get("args"),
        kwargs=given.get("kwargs"),
        options=given.get("options"),
        relative=bool(given.get("relative")),
    )
