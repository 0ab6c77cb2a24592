"""The family of a task: what began it, what it came from, and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec

from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import UNKNOWN, TaskImage, to_dict
from herald_monitor.store import Reader

MOST = 500
"""Tasks of a family that are told."""

HIGHEST = 50
"""Parents above a task that are looked for."""

PAGE = 250

LEFT_OUT = ("args", "kwargs", "result", "traceback")
"""What only the task itself tells: a family is many."""


class Family(msgspec.Struct, frozen=True):
    """The tasks around one: `root` began it all. Not `whole` if there are more.

    `tasks` are in the order in which they were first heard of, the root among them
    if it is known; each names its `parent_id`.
    """

    root: str
    tasks: tuple[TaskImage, ...]
    whole: bool


async def family(reader: Reader, task: TaskImage) -> Family:
    """Return the family of `task`. Raises `StoreError`.

    All that has the same root; and, since not everybody tells the root, the parents
    above the task and the children right below it.
    """
    known = {task.id: task}
    above = await _above(reader, task, known)
    root = task.root_id or above
    of_root, whole = await _pages(reader, Filter(root=(root,)))
    of_task, all_children = await _pages(reader, Filter(parent=(task.id,)))
    for one in (*of_root, *of_task):
        known.setdefault(one.id, one)
    found = sorted(known.values(), key=_age)
    cut = found[:MOST]
    if task not in cut:
        cut[-1] = task
    return Family(root, tuple(cut), whole and all_children and len(found) <= MOST)


async def _above(reader: Reader, task: TaskImage, known: dict[str, TaskImage]) -> str:
    """Note the parents of `task`; return the id of the highest that is named."""
    at = task
    for _ in range(HIGHEST):
        if at.parent_id is None or at.parent_id in known:
            break
        parent = await reader.task(at.parent_id)
        if parent.state == UNKNOWN:
            return at.parent_id
        known[parent.id] = at = parent
    return at.id


async def _pages(reader: Reader, filter_: Filter) -> tuple[list[TaskImage], bool]:
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) <= MOST:
        got = await reader.page(filter_, limit=PAGE, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    return found, page is None


def _age(task: TaskImage) -> tuple[str, str]:
    times = (task.submitted_at, task.received_at, task.started_at, task.updated_at)
    return next((at for at in times if at), "~"), task.id


def shown(task: TaskImage) -> dict[str, Any]:
    """Return `task` without what is long."""
    return {k: v for k, v in to_dict(task).items() if k not in LEFT_OUT}
