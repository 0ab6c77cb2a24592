"""The tasks that have not ended, and which ids can be meant."""

from __future__ import annotations

import time

from herald_monitor.errors import BadInput
from herald_monitor.model.events import MAX_ID
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.mcp import describing
from herald_server.mcp.answers import ActiveTasks

MOST = 500
"""Active tasks that are listed at most: one page of the store, and more than any
model reads."""

MOST_COUNTED = 1_000_000


async def actives(
    reader: Reader, catalog: Catalog, task_type: str | None = None
) -> ActiveTasks:
    """Return the active tasks, of one type if it is given. Raises `HeraldError`."""
    name = catalog[task_type].celery_name if task_type else None
    filter_ = Filter(state=describing.ACTIVE, name=(name,) if name else None)
    tasks = await newest(reader, filter_, MOST)
    total = len(tasks)
    if total >= MOST:
        total = max(total, await reader.count(filter_, MOST_COUNTED))
    return ActiveTasks(
        total_active=total,
        tasks=[describing.active(task, catalog) for task in tasks],
        queried_at=rfc3339(time.time()),
        message=""
        if total == len(tasks)
        else f"Only the newest {len(tasks)} of {total} are listed.",
    )


async def newest(reader: Reader, filter_: Filter, most: int) -> list[TaskImage]:
    """Return the newest `most` tasks that match."""
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) < most:
        some = await reader.page(filter_, limit=min(500, most - len(found)), page=page)
        found += some.tasks
        page = some.next
        if page is None:
            break
    return found


def checked_id(task_id: str, key: str = "task_id") -> str:
    """Return `task_id` if it can be one; `key` is its name. Raises `BadInput`."""
    task_id = task_id.strip()
    if not 0 < len(task_id) <= MAX_ID:
        raise BadInput(
            f"{key} must be a text of 1 to {MAX_ID} characters, as it was returned "
            "when it was started",
            key,
        )
    return task_id
