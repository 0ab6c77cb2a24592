"""The family tree of a task: root, ancestors and descendants."""

from __future__ import annotations

from typing import Any

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import UNKNOWN, TaskView, to_dict
from herald_core.store.ports import TaskReader

MAX_TASKS = 500
"""Maximum number of returned tasks of a family."""

MAX_ANCESTORS = 50
"""Parents above a task that are looked for."""

PAGE_SIZE = 250

LONG_FIELDS = ("args", "kwargs", "result", "traceback")
"""Fields that are omitted in a family because of their size."""


class FamilyTree(msgspec.Struct, frozen=True):
    """The related tasks: `root` is the first. Not `whole` if there are more.

    `tasks` are in the order of their first events, with the root if it is known; each
    has its `parent_id`.
    """

    root: str
    tasks: tuple[TaskView, ...]
    whole: bool


async def load_family(reader: TaskReader, task: TaskView) -> FamilyTree:
    """Return the family tree of `task`. Raises `StoreError`.

    It contains all tasks with the same root; and, since some senders do not set the
    root, the ancestors of the task and its direct children.
    """
    known = {task.id: task}
    above = await _add_ancestors(reader, task, known)
    root = task.root_id or above
    of_root, whole = await _read_pages(reader, Filter(root=(root,)))
    of_task, all_children = await _read_pages(reader, Filter(parent=(task.id,)))
    for one in (*of_root, *of_task):
        known.setdefault(one.id, one)
    found = sorted(known.values(), key=_get_age_key)
    cut = found[:MAX_TASKS]
    if task not in cut:
        cut[-1] = task
    return FamilyTree(
        root, tuple(cut), whole and all_children and len(found) <= MAX_TASKS
    )


async def _add_ancestors(
    reader: TaskReader, task: TaskView, known: dict[str, TaskView]
) -> str:
    """Add the ancestors of `task` to `known`; return the id of the topmost one."""
    at = task
    for _ in range(MAX_ANCESTORS):
        if at.parent_id is None or at.parent_id in known:
            break
        parent = await reader.get_task(at.parent_id)
        if parent.state == UNKNOWN:
            return at.parent_id
        known[parent.id] = at = parent
    return at.id


async def _read_pages(
    reader: TaskReader, filter_: Filter
) -> tuple[list[TaskView], bool]:
    found: list[TaskView] = []
    page: str | None = None
    while len(found) <= MAX_TASKS:
        got = await reader.list_tasks(filter_, limit=PAGE_SIZE, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    return found, page is None


def _get_age_key(task: TaskView) -> tuple[str, str]:
    times = (task.submitted_at, task.received_at, task.started_at, task.updated_at)
    return next((at for at in times if at), "~"), task.id


def to_tree_node(task: TaskView) -> dict[str, Any]:
    """Return `task` without its long fields."""
    return {k: v for k, v in to_dict(task).items() if k not in LONG_FIELDS}
