"""Counts for task-scoped tokens, by reading the pages of what is visible.

The index of a filter would reveal the number of hidden tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.types import TaskPage

MAX_EXACT_COUNT = 10_000
"""Tasks that are counted exactly. Beyond it, all tasks of the token are counted."""

PAGE_SIZE = 500


class VisiblePages(Protocol):
    """Lists the tasks that the caller may see."""

    async def list_tasks(
        self, filter_: Filter, *, limit: int = 100, page: str | None = None
    ) -> TaskPage:
        """Return tasks that match and are visible, newest first."""
        ...


async def count_by_pages(pages: VisiblePages, filter_: Filter) -> int:
    """Return how many tasks match; above `MAX_EXACT_COUNT` any greater number."""
    counted = 0
    async for tasks in _iter_pages(pages, filter_):
        counted += len(tasks)
        if counted > MAX_EXACT_COUNT:
            break
    return counted


async def count_states(pages: VisiblePages, filter_: Filter) -> dict[str, int]:
    """Return how many of the newest `MAX_EXACT_COUNT` tasks are in each state."""
    counts: Counter[str] = Counter()
    async for tasks in _iter_pages(pages, filter_):
        counts.update(task.state for task in tasks)
        if counts.total() >= MAX_EXACT_COUNT:
            break
    return dict(counts)


async def list_newest_groups(
    pages: VisiblePages, limit: int
) -> list[tuple[str, float]]:
    """Return the groups of the newest `MAX_EXACT_COUNT` tasks, with their time."""
    newest: dict[str, float] = {}
    counted = 0
    async for tasks in _iter_pages(pages, Filter()):
        counted += len(tasks)
        for task in tasks:
            if task.group_id and task.updated_at:
                newest.setdefault(task.group_id, from_rfc3339(task.updated_at))
        if counted >= MAX_EXACT_COUNT or len(newest) >= limit:
            break
    return list(newest.items())[:limit]


async def _iter_pages(
    pages: VisiblePages, filter_: Filter
) -> AsyncIterator[Sequence[TaskView]]:
    """Yield the tasks that match, newest first, a page at a time."""
    page = None
    while True:
        found = await pages.list_tasks(filter_, limit=PAGE_SIZE, page=page)
        yield found.tasks
        page = found.next
        if page is None:
            return
