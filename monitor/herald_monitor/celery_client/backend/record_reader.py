"""Backends that return one task at a time: databases, files."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

from herald_monitor.celery_client.app.read_only_backend import (
    DATABASE_MODULE,
)

DJANGO_PACKAGE = "django_celery_results"

ZONE_ATTRIBUTE = "_herald_zone"
"""The attribute of a backend that holds the timezone of its times."""


def read_one(backend: Any, task_id: str) -> Mapping[str, object]:
    """Return the stored meta of a task, with the timezone of its time."""
    meta: Any = backend.get_task_meta(task_id, cache=False)
    at = meta.get("date_done")
    if isinstance(at, datetime) and at.tzinfo is None:
        return {**meta, "date_done": with_zone(at, get_zone(backend), time.time())}
    return cast(Mapping[str, object], meta)


def with_zone(at: datetime, zone: tzinfo, now: float) -> datetime:
    """Return a time that was stored without its `zone`, and lies before `now`.

    A repeated hour at the end of summer time is the later one if that is over.
    """
    later = at.replace(tzinfo=zone, fold=1)
    return later if later.timestamp() <= now else at.replace(tzinfo=zone, fold=0)


def find_time_zone(backend: Any) -> tzinfo:
    """Return the timezone of the times that `backend` returns without one.

    Celery stores the time of the project's timezone (before 5.5 that of UTC), and
    columns of SQL drop the zone. PostgreSQL converts such a time to the zone of the
    session, Django to that of its settings.
    """
    if is_backend_from(backend, DJANGO_PACKAGE):
        django = cast(Any, sys.modules["django.utils.timezone"])
        return cast(tzinfo, django.get_default_timezone())
    if (
        is_backend_from(backend, DATABASE_MODULE)
        and (told := _find_session_zone(backend)) is not None
    ):
        return told
    stored = backend._get_result_meta(None, "SUCCESS", None, None, format_date=False)
    return getattr(stored.get("date_done"), "tzinfo", None) or UTC


def is_backend_from(backend: object, package: str) -> bool:
    """Return True if `backend` is, or derives from, a class of `package`."""
    return any(kind.__module__.startswith(package) for kind in type(backend).__mro__)


def _find_session_zone(backend: Any) -> tzinfo | None:
    """Return the timezone of sessions, of a server that converts times to it."""
    from sqlalchemy import text

    session = backend.ResultSession()
    try:
        if session.get_bind().dialect.name != "postgresql":
            return None
        return ZoneInfo(str(session.execute(text("SHOW TimeZone")).scalar()))
    finally:
        session.close()


def get_zone(backend: Any) -> tzinfo:
    """Return the timezone of the times of `backend`, which is found out once."""
    kept = cast(dict[str, Any], vars(backend))
    if ZONE_ATTRIBUTE not in kept:
        kept[ZONE_ATTRIBUTE] = find_time_zone(backend)
    return cast(tzinfo, kept[ZONE_ATTRIBUTE])
