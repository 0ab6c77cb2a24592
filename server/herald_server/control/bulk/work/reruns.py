"""Find the reruns of tasks: their children that are tagged `retry_of:ID`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader
from herald_server.control.start.retry import RETRY_OF

MAX_PARENTS: Final = 200
PAGE_SIZE: Final = 500
MAX_CHILDREN: Final = 20_000
"""Children that are looked through for reruns, of `MAX_PARENTS` tasks together."""


def is_retriable(task: TaskView) -> bool:
    """Return True if a task has ended or is lost, so that it may have been rerun."""
    return task.final or task.state == views.LOST


async def find_reruns(reader: TaskReader, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the reruns of each of `ids` that has any, newest first.

    Raises `StoreError`.
    """
    found: dict[str, list[str]] = {}
    for start in range(0, len(ids), MAX_PARENTS):
        parents = tuple(ids[start : start + MAX_PARENTS])
        for parent, child in await _find_children(reader, parents):
            found.setdefault(parent, []).append(child)
    return found


async def _find_children(
    reader: TaskReader, parents: tuple[str, ...]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    page: str | None = None
    for _ in range(MAX_CHILDREN // PAGE_SIZE):
        part = await reader.list_tasks(
            Filter(parent=parents), limit=PAGE_SIZE, page=page
        )
        found += [
            (task.parent_id, task.id)
            for task in part.tasks
            if task.parent_id and RETRY_OF + task.parent_id in (task.tags or ())
        ]
        page = part.next
        if page is None:
            break
    return found
