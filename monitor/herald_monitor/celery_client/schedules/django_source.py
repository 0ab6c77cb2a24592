"""Schedules of django-celery-beat, in the project's database. Only read.

Blocking: for a thread of its own.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, cast

from kombu.utils.json import loads

from herald_core.model.schedules.follow import NextDue
from herald_core.model.schedules.spec import DJANGO, MAX_SCHEDULES
from herald_monitor.celery_client.app.project_modules import close_connections
from herald_monitor.celery_client.schedules.planned import (
    PlannedSchedule,
    ScheduleEntry,
    ScheduleFactory,
    SourceContents,
)

PACKAGE = "django_celery_beat"
RELATIONS = ("interval", "crontab", "solar", "clocked")


def has_django_schedules() -> bool:
    """Return True if the imported project uses django-celery-beat."""
    registry = sys.modules.get("django.apps")
    if registry is None:
        return False
    apps = cast(Any, registry).apps
    return bool(apps.ready and apps.is_installed(PACKAGE))


def read_django_schedules(factory: ScheduleFactory) -> SourceContents:
    """Return the periodic tasks of the project's database."""
    if not has_django_schedules():
        return SourceContents()
    try:
        rows = _select_rows()
    except Exception as error:  # databases and their drivers, of all kinds
        why = f"{type(error).__name__}: {error}".strip().split("\n", 1)[0]
        return SourceContents(
            problem=f"the periodic tasks of django-celery-beat cannot be read ({why})"
        )
    finally:
        close_connections()
    made: list[PlannedSchedule] = []
    problem = ""
    for row in rows:
        try:
            made.append(_make_schedule(factory, row))
        except Exception as error:  # a row may hold anything
            why = f"{type(error).__name__}: {error}"
            problem = f"the periodic task {row.name!r} cannot be read ({why})"
    return SourceContents(tuple(made), problem)


def _select_rows() -> list[Any]:
    apps = cast(Any, sys.modules["django.apps"]).apps
    model = apps.get_model(PACKAGE, "PeriodicTask")
    found = model.objects.select_related(*RELATIONS).order_by("pk")
    return list(found[: MAX_SCHEDULES + 1])


def _make_schedule(factory: ScheduleFactory, row: Any) -> PlannedSchedule:
    entry = ScheduleEntry(
        name=row.name,
        task=row.task,
        schedule=row.schedule,
        args=loads(row.args or "[]"),
        kwargs=loads(row.kwargs or "{}"),
        options={"queue": row.queue} if row.queue else None,
        enabled=row.enabled and not (row.one_off and row.total_run_count),
        until=_to_seconds(row.expires),
    )
    spec, next_due = factory.make(DJANGO, entry)
    start = _to_seconds(row.start_time)
    if start is not None:
        next_due = _begin_at(next_due, start, counts=spec.interval is not None)
    if row.one_off:
        next_due = _limit_to_first(next_due, _to_seconds(row.date_changed))
    return PlannedSchedule(spec, next_due)


def _to_seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _begin_at(next_due: NextDue, start: float, *, counts: bool) -> NextDue:
    """Return the due times from `start` on, which is one itself if it `counts`."""

    def compute(after: float) -> float | None:
        if after >= start:
            return next_due(after)
        return start if counts else next_due(start - 0.01)

    return compute


def _limit_to_first(next_due: NextDue, since: float | None) -> NextDue:
    """Return the first of the due times after `since`, once."""
    first = None if since is None else next_due(since)
    return lambda after: first if first is not None and after < first else None
