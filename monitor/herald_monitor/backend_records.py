"""What backends keep that are asked about one task at a time: databases, files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

from herald_monitor.read_only_backends import FILES, TABLES

DJANGO = "django_celery_results"

ZONE = "_herald_zone"
"""Where, on a backend, the timezone of its times stands."""


def read_one(backend: Any, task_id: str) -> Mapping[str, object]:
    """Return what `backend` keeps of a task, with the zone of its time."""
    meta: Any = backend.get_task_meta(task_id, cache=False)
    at = meta.get("date_done")
    if isinstance(at, datetime) and at.tzinfo is None:
        return {**meta, "date_done": with_zone(at, _zone(backend), time.time())}
    return cast(Mapping[str, object], meta)


def find_newest(backend: Any, since: float, limit: int) -> list[str]:
    """Return the ids of up to `limit` tasks that ended since a time (unix seconds).

    Databases are asked for what was stored last, by the primary key: it costs them
    little. Of other backends nothing is found.
    """
    if is_from(backend, FILES):
        return _newest_files(backend, since)[:limit]
    if is_from(backend, DJANGO):
        rows = backend.TaskModel._default_manager.order_by("-pk")
        told = list(rows.values_list("task_id", "date_done")[:limit])
    elif is_from(backend, TABLES):
        told = _newest_rows(backend, limit)
    else:
        return []
    zone, now = _zone(backend), time.time()
    return [str(id_) for id_, at in told if at and _unix(at, zone, now) >= since]


def with_zone(at: datetime, zone: tzinfo, now: float) -> datetime:
    """Return a time that was told without its `zone`, and lies before `now`.

    An hour that there is twice, when summer ends, is the later one if that is over.
    """
    later = at.replace(tzinfo=zone, fold=1)
    return later if later.timestamp() <= now else at.replace(tzinfo=zone, fold=0)


def zone_of_times(backend: Any) -> tzinfo:
    """Return the timezone of the times that `backend` tells without one.

    Celery stores the time of the project's timezone (before 5.5 that of UTC), and
    columns of SQL drop the zone. PostgreSQL converts such a time to the zone of the
    session, Django to that of its settings.
    """
    if is_from(backend, DJANGO):
        django = cast(Any, sys.modules["django.utils.timezone"])
        return cast(tzinfo, django.get_default_timezone())
    if is_from(backend, TABLES) and (told := _session_zone(backend)) is not None:
        return told
    stored = backend._get_result_meta(None, "SUCCESS", None, None, format_date=False)
    return getattr(stored.get("date_done"), "tzinfo", None) or UTC


def is_from(backend: object, package: str) -> bool:
    """Return True if `backend` is, or derives from, a class of `package`."""
    return any(kind.__module__.startswith(package) for kind in type(backend).__mro__)


def _newest_files(backend: Any, since: float) -> list[str]:
    prefix = backend.task_keyprefix.decode()
    with os.scandir(os.fsdecode(backend.path)) as files:
        return [
            one.name.removeprefix(prefix)
            for one in files
            if one.name.startswith(prefix) and one.stat().st_mtime >= since
        ]


def _newest_rows(backend: Any, limit: int) -> list[tuple[str, datetime | None]]:
    if not backend._has_table():
        return []
    kind, session = backend.task_cls, backend.ResultSession()
    try:
        asked = session.query(kind.task_id, kind.date_done)
        return list(asked.order_by(kind.id.desc()).limit(limit))
    finally:
        session.close()


def _session_zone(backend: Any) -> tzinfo | None:
    """Return the timezone of sessions, of a server that converts times to it."""
    from sqlalchemy import text

    session = backend.ResultSession()
    try:
        if session.get_bind().dialect.name != "postgresql":
            return None
        return ZoneInfo(str(session.execute(text("SHOW TimeZone")).scalar()))
    finally:
        session.close()


def _unix(at: datetime, zone: tzinfo, now: float) -> float:
    return (at if at.tzinfo else with_zone(at, zone, now)).timestamp()


def _zone(backend: Any) -> tzinfo:
    kept = cast(dict[str, Any], vars(backend))
    if ZONE not in kept:
        kept[ZONE] = zone_of_times(backend)
    return cast(tzinfo, kept[ZONE])
