"""The tasks that failed: which, when, and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView, from_rfc3339, to_rfc3339
from herald_core.store.ports import TaskReader
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.answers.listing import read_newest_tasks
from herald_server.mcp.answers.presenters import find_task_type, get_status
from herald_server.mcp.uris import FAILURES

MAX_LISTED = 100
MAX_SEARCHED = 1_000
"""Failures that are looked through for those of a certain time."""

HOUR_S = 3_600.0


async def list_failures(reader: TaskReader, catalog: Catalog) -> dict[str, Any]:
    """Return the newest failures. Raises `HeraldError`."""
    filter_ = Filter(state=FAILURES)
    tasks = await read_newest_tasks(reader, filter_, MAX_LISTED)
    total = len(tasks)
    if total >= MAX_LISTED:
        total = max(total, await reader.count_tasks(filter_, 1_000_000))
    return {
        "total_failed": total,
        "tasks": [describe_failure(task, catalog) for task in tasks],
        "queried_at": to_rfc3339(time.time()),
    }


async def read_recent_failures(
    reader: TaskReader, period_s: float = HOUR_S, name: str | None = None
) -> list[TaskView]:
    """Return the failures of the last `period_s` seconds, the latest first."""
    filter_ = Filter(state=FAILURES, name=(name,) if name else None)
    since = time.time() - period_s
    found = [
        task
        for task in await read_newest_tasks(reader, filter_, MAX_SEARCHED)
        if from_rfc3339(_get_failure_time(task)) >= since
    ]
    return sorted(found, key=_get_failure_time, reverse=True)


def count_kinds(tasks: Sequence[TaskView]) -> list[dict[str, Any]]:
    """Return failures counted by task, status and exception, the most
    frequent first."""
    counted = Counter(
        (t.name, get_status(t), _parse_exception_name(t.exception)) for t in tasks
    )
    return [
        {"task_name": name, "status": status, "exception": sort, "count": count}
        for (name, status, sort), count in counted.most_common()
    ]


def describe_failure(task: TaskView, catalog: Catalog) -> dict[str, Any]:
    """Return a failed task in short."""
    return {
        "task_id": task.id,
        "task_name": task.name,
        "task_type": find_task_type(task, catalog),
        "status": get_status(task),
        "error": task.exception or task.reason,
        "worker": task.worker,
        "attempt": task.attempt,
        "failed_at": _get_failure_time(task),
    }


def _get_failure_time(task: TaskView) -> str:
    return task.finished_at or task.updated_at or task.as_of or to_rfc3339(0.0)


def _parse_exception_name(exception: str | None) -> str | None:
    """Return the name of an exception: `ValueError` of `ValueError('no')`."""
    return exception.partition("(")[0] if exception else None
