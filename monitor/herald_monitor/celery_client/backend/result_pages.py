"""All stored results of databases and directories, in pages of bounded size.

A page is a range of primary keys, so that a database reads no more than it, whatever
index there is on the times. Results that ended before a time are left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, cast

from herald_monitor.celery_client.app.read_only_backend import (
    DATABASE_MODULE,
    FILESYSTEM_MODULE,
)
from herald_monitor.celery_client.backend.record_reader import (
    DJANGO_PACKAGE,
    get_zone,
    is_backend_from,
    with_zone,
)

PAGE_ROWS = 5_000
"""Rows, or files, of one page."""


class ResultPage(NamedTuple):
    """The ids in one page; `done` of about `total` stored results were gone through."""

    ids: list[str]
    done: int
    total: int


Row = tuple[str, datetime | None]


def can_list(backend: Any) -> bool:
    """Return True if all results of `backend`, which is no Redis, can be listed."""
    packages = (FILESYSTEM_MODULE, DJANGO_PACKAGE, DATABASE_MODULE)
    return any(is_backend_from(backend, package) for package in packages)


def iter_pages(backend: Any, since: float) -> Generator[ResultPage]:
    """Yield the results that ended since a time (unix seconds), newest rows first.

    Each step may run on another thread. Nothing is yielded for other backends.
    """
    if is_backend_from(backend, FILESYSTEM_MODULE):
        yield from _iter_files(backend, since)
    elif is_backend_from(backend, DJANGO_PACKAGE):
        yield from _iter_ranges(_DjangoRows(backend), get_zone(backend), since)
    elif is_backend_from(backend, DATABASE_MODULE) and _has_table(backend):
        yield from _iter_ranges(_SqlRows(backend), get_zone(backend), since)


def _has_table(backend: Any) -> bool:
    """Return False while no worker has made the table: we make none."""
    has_table = getattr(backend, "_has_table", None)
    return has_table is None or bool(has_table())


def _iter_files(backend: Any, since: float) -> Iterator[ResultPage]:
    prefix, done, ids = backend.task_keyprefix.decode(), 0, list[str]()
    folder = os.fsdecode(backend.path)
    total = len(os.listdir(folder))
    with os.scandir(folder) as files:
        for one in files:
            done += 1
            if one.name.startswith(prefix) and _is_changed_since(one, since):
                ids.append(one.name.removeprefix(prefix))
            if done % PAGE_ROWS == 0:
                yield ResultPage(ids, done, max(total, done))
                ids = []
    yield ResultPage(ids, done, done)


def _is_changed_since(file: os.DirEntry[str], since: float) -> bool:
    try:
        return file.stat().st_mtime >= since
    except FileNotFoundError:  # a result that expired meanwhile
        return False


class _SqlRows:
    """The table of Celery's SQLAlchemy backend. Each call has a session of its own."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def read_bounds(self) -> tuple[int | None, int | None]:
        """Return the lowest and the highest primary key."""
        from sqlalchemy import func

        key = self._backend.task_cls.id

        def ask(asked: Any) -> Any:
            return asked(func.min(key), func.max(key))

        [(low, high)] = self._query(ask)
        return low, high

    def read_range(self, after: int, until: int) -> list[Row]:
        """Return the ids and times of the rows whose keys lie in (after, until]."""
        kind = self._backend.task_cls

        def ask(asked: Any) -> Any:
            rows = asked(kind.task_id, kind.date_done)
            return rows.filter(kind.id > after, kind.id <= until)

        return cast(list[Row], self._query(ask))

    def _query(self, ask: Any) -> list[Any]:
        session = self._backend.ResultSession()
        try:
            return list(ask(session.query))
        finally:
            session.close()


class _DjangoRows:
    """The table of django-celery-results."""

    def __init__(self, backend: Any) -> None:
        self._manager = backend.TaskModel._default_manager

    def read_bounds(self) -> tuple[int | None, int | None]:
        """Return the lowest and the highest primary key."""
        keys = self._manager.values_list("pk", flat=True)
        return keys.order_by("pk").first(), keys.order_by("-pk").first()

    def read_range(self, after: int, until: int) -> list[Row]:
        """Return the ids and times of the rows whose keys lie in (after, until]."""
        rows = self._manager.filter(pk__gt=after, pk__lte=until)
        return list(rows.values_list("task_id", "date_done"))


def _iter_ranges(
    rows: _SqlRows | _DjangoRows, zone: tzinfo, since: float
) -> Iterator[ResultPage]:
    low, high = rows.read_bounds()
    if low is None or high is None:
        yield ResultPage([], 0, 0)
        return
    total = high - low + 1
    for until in range(high, low - 1, -PAGE_ROWS):
        after = max(until - PAGE_ROWS, low - 1)
        now = time.time()
        ids = [
            str(id_)
            for id_, at in rows.read_range(after, until)
            if at and _to_unix(at, zone, now) >= since
        ]
        yield ResultPage(ids, high - after, total)


def _to_unix(at: datetime, zone: tzinfo, now: float) -> float:
    return (at if at.tzinfo else with_zone(at, zone, now)).timestamp()
