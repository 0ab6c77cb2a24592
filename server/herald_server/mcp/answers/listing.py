"""List unfinished tasks; validate ids."""

from __future__ import annotations

import time

from herald_core.errors import InvalidInput
from herald_core.model.events.event import MAX_ID
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.ports import TaskReader
from herald_core.store.types import TaskPage
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.short import FULL, DetailLevel
from herald_server.mcp.models.tasks import ActiveTasks

MAX_LISTED = 500
"""Maximum number of listed active tasks: one page of the store."""

MAX_COUNTED = 1_000_000


async def list_active(
    reader: TaskReader,
    catalog: Catalog,
    task_type: str | None = None,
    *,
    limit: int = MAX_LISTED,
    page: str | None = None,
    detail: DetailLevel = FULL,
) -> ActiveTasks:
    """Return a page of the active tasks, of one type if it is given.

    Raises `HeraldError`.
    """
    name = catalog[task_type].celery_name if task_type else None
    filter_ = Filter(state=presenters.ACTIVE_STATES, name=(name,) if name else None)
    found = await reader.list_tasks(filter_, limit=limit, page=page)
    total = len(found.tasks)
    if found.next is not None or page is not None:
        total = max(total, await reader.count_tasks(filter_, MAX_COUNTED))
    return ActiveTasks(
        total_active=total,
        counts={} if name else await _count_active(reader),
        tasks=[
            presenters.make_active_task(task, catalog, detail) for task in found.tasks
        ],
        queried_at=to_rfc3339(time.time()),
        next=found.next,
        message=_describe_list(found, total),
    )


def _describe_list(found: TaskPage, total: int) -> str:
    parts: list[str] = []
    if found.next is not None:
        parts.append(
            f"Only the newest {len(found.tasks)} of {total} are listed; `page` set to "
            "next lists those that follow."
        )
    if any(presenters.is_waiting(task, time.time()) for task in found.tasks):
        parts.append("explain_task tells what a task that has not started waits for.")
    return " ".join(parts)


async def _count_active(reader: TaskReader) -> dict[str, int]:
    counts = await reader.count_by_state()
    return {
        state.lower(): counts[state]
        for state in presenters.ACTIVE_STATES
        if counts.get(state)
    }


async def read_newest_tasks(
    reader: TaskReader, filter_: Filter, limit: int
) -> list[TaskView]:
    """Return the newest `limit` tasks that match."""
    found: list[TaskView] = []
    page: str | None = None
    while len(found) < limit:
        some = await reader.list_tasks(
            filter_, limit=min(500, limit - len(found)), page=page
        )
        found += some.tasks
        page = some.next
        if page is None:
            break
    return found


def validate_task_id(task_id: str, key: str = "task_id") -> str:
    """Return `task_id` if it is valid; `key` is its name. Raises `InvalidInput`."""
    task_id = task_id.strip()
    if not 0 < len(task_id) <= MAX_ID:
        raise InvalidInput(
            f"{key} must be a text of 1 to {MAX_ID} characters, as it was returned "
            "when it was started",
            key,
        )
    return task_id
