"""The tasks that came to nothing: which, when, and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, rfc3339, unix
from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.mcp.active import newest
from herald_server.mcp.describing import status_of, type_of
from herald_server.mcp.uris import FAILURES

LISTED = 100
SEARCHED = 1_000
"""Failures that are looked through for those of a certain time."""

HOUR = 3_600.0


async def failures(reader: Reader, catalog: Catalog) -> dict[str, Any]:
    """Return the newest failures. Raises `HeraldError`."""
    filter_ = Filter(state=FAILURES)
    tasks = await newest(reader, filter_, LISTED)
    total = len(tasks)
    if total >= LISTED:
        total = max(total, await reader.count(filter_, 1_000_000))
    return {
        "total_failed": total,
        "tasks": [told(task, catalog) for task in tasks],
        "queried_at": rfc3339(time.time()),
    }


async def lately_failed(
    reader: Reader, within: float = HOUR, name: str | None = None
) -> list[TaskImage]:
    """Return what failed in the last `within` seconds, the last one first."""
    filter_ = Filter(state=FAILURES, name=(name,) if name else None)
    since = time.time() - within
    found = [
        task
        for task in await newest(reader, filter_, SEARCHED)
        if unix(_when(task)) >= since
    ]
    return sorted(found, key=_when, reverse=True)


def kinds(tasks: Sequence[TaskImage]) -> list[dict[str, Any]]:
    """Return failures counted by task, status and sort of exception, most first."""
    counted = Counter((t.name, status_of(t), _sort(t.exception)) for t in tasks)
    return [
        {"task_name": name, "status": status, "exception": sort, "count": count}
        for (name, status, sort), count in counted.most_common()
    ]


def told(task: TaskImage, catalog: Catalog) -> dict[str, Any]:
    """Return a failed task in short."""
    return {
        "task_id": task.id,
        "task_name": task.name,
        "task_type": type_of(task, catalog),
        "status": status_of(task),
        "error": task.exception or task.reason,
        "worker": task.worker,
        "attempt": task.attempt,
        "failed_at": _when(task),
    }


def _when(task: TaskImage) -> str:
    return task.finished_at or task.updated_at or task.as_of or rfc3339(0.0)


def _sort(exception: str | None) -> str | None:
    """Return the name of an exception: `ValueError` of `ValueError('no')`."""
    return exception.partition("(")[0] if exception else None
