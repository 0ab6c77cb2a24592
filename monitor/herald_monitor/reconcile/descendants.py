"""Find out whether descendants of a replaced task are still running.

A task that calls `Task.replace()` ends without an event. It comes back under its id
when the last link of its replacement is sent: minutes later, if that is a chain of long
tasks. Until then its worker no longer has it, and yet it is not lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader

UNFINISHED_STATES = (views.PENDING, views.RECEIVED, views.STARTED, views.RETRY)
MAX_TASKS = 500
"""Unfinished tasks of one canvas that are read. In a larger canvas, descendants count
as running."""
MAX_DEPTH = 100
"""Steps from a task up to its forefathers."""


async def with_running_descendants(
    reader: TaskReader, tasks: Sequence[TaskView]
) -> set[str]:
    """Return the ids of those `tasks` of which something they started is unfinished.

    Raises `StoreError`.
    """
    found: set[str] = set()
    by_root: dict[str, set[str]] = {}
    for task in tasks:
        by_root.setdefault(_get_root(task), set()).add(task.id)
    for root, asked in by_root.items():
        under_way = await _list_unfinished(reader, root)
        whole = len(under_way) < MAX_TASKS
        found |= asked & await _find_ancestors(reader, under_way) if whole else asked
    return found


async def _list_unfinished(reader: TaskReader, root: str) -> list[TaskView]:
    """Return the unfinished tasks of a canvas, but no more than about MOST."""
    found: list[TaskView] = []
    after: str | None = None
    while len(found) < MAX_TASKS:
        wish = Filter(root=(root,), state=UNFINISHED_STATES)
        page = await reader.list_tasks(wish, limit=MAX_TASKS, page=after)
        found += page.tasks
        after = page.next
        if after is None:
            break
    return found


async def _find_ancestors(reader: TaskReader, tasks: Iterable[TaskView]) -> set[str]:
    """Return the ids of the parents of `tasks`, and of theirs, and so on."""
    found: set[str] = set()
    new = {task.parent_id for task in tasks if task.parent_id}
    for _ in range(MAX_DEPTH):
        if not new:
            break
        found |= new
        known = await reader.get_tasks(sorted(new))
        new = {task.parent_id for task in known if task and task.parent_id} - found
    return found


def _get_root(task: TaskView) -> str:
    return task.root_id or task.id
