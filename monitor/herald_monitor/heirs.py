"""Whether what a task started in its place is still under way.

A task that calls `Task.replace()` ends without a word, and comes back under its id
when the last link of what replaced it is sent: minutes later, if that is a chain
of long tasks. Until then its worker has it no more, and yet it is not lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.store import Reader

UNDER_WAY = (shape.PENDING, shape.RECEIVED, shape.STARTED, shape.RETRY)
MOST = 500
"""Unfinished tasks of one canvas that are looked at; of a larger one it is taken
that something is still under way for whoever is asked about."""
DEEPEST = 100
"""Steps from a task up to its forefathers."""


async def with_heirs(reader: Reader, tasks: Sequence[TaskImage]) -> set[str]:
    """Return the ids of those `tasks` of which something they started is unfinished.

    Raises `StoreError`.
    """
    found: set[str] = set()
    by_root: dict[str, set[str]] = {}
    for task in tasks:
        by_root.setdefault(_root(task), set()).add(task.id)
    for root, asked in by_root.items():
        under_way = await _under_way(reader, root)
        whole = len(under_way) < MOST
        found |= asked & await _forefathers(reader, under_way) if whole else asked
    return found


async def _under_way(reader: Reader, root: str) -> list[TaskImage]:
    """Return the unfinished tasks of a canvas, but no more than about MOST."""
    found: list[TaskImage] = []
    after: str | None = None
    while len(found) < MOST:
        wish = Filter(root=(root,), state=UNDER_WAY)
        page = await reader.page(wish, limit=MOST, page=after)
        found += page.tasks
        after = page.next
        if after is None:
            break
    return found


async def _forefathers(reader: Reader, tasks: Iterable[TaskImage]) -> set[str]:
    """Return the ids of the parents of `tasks`, and of theirs, and so on."""
    found: set[str] = set()
    new = {task.parent_id for task in tasks if task.parent_id}
    for _ in range(DEEPEST):
        if not new:
            break
        found |= new
        known = await reader.tasks(sorted(new))
        new = {task.parent_id for task in known if task and task.parent_id} - found
    return found


def _root(task: TaskImage) -> str:
    return task.root_id or task.id
