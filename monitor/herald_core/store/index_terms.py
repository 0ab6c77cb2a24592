"""The indexes that a task is found by: pairs of a field and a value. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from herald_core.model.tasks.views import TaskView

NO_NUMBER = -1
"""The number of what has none: a task that is not stored yet, a worker."""


def iter_index_terms(task: TaskView) -> Iterator[tuple[str, str]]:
    """Yield the index places (filter key, value) of `task`.

    Every task has exactly one state, so the states together hold all tasks.
    """
    if task.state:
        yield "state", task.state
    if task.name:
        yield "name", task.name
    if task.worker:
        yield "worker", task.worker
    if task.queue:
        yield "queue", task.queue
    # A task is its own root by default; that needs no index.
    if task.root_id and task.root_id != task.id:
        yield "root", task.root_id
    if task.parent_id:
        yield "parent", task.parent_id
    if task.group_id:
        yield "group", task.group_id
    if task.failure:
        yield "failure", task.failure
    for tag in task.tags or ():
        yield "tag", tag
