"""The indexes that a task is found by: pairs of a field and a value. Pure."""

from __future__ import annotations

from functools import lru_cache

from herald_core.model.tasks.views import TaskView

NO_NUMBER = -1
"""The number of what has none: a task that is not stored yet, a worker."""


def list_index_terms(task: TaskView) -> tuple[tuple[str, str], ...]:
    """Return the index places (filter key, value) of `task`.

    Every task has exactly one state, so the states together hold all tasks. Most tasks
    have only places that many share, and these get the same object.
    """
    common = _list_common_terms(
        task.state, task.name, task.worker, task.queue, task.failure
    )
    root, parent, group, tags = task.root_id, task.parent_id, task.group_id, task.tags
    # A task is its own root by default; that needs no index.
    if root == task.id:
        root = None
    if not (root or parent or group or tags):
        return common
    family = (("root", root), ("parent", parent), ("group", group))
    return (
        *common,
        *[(key, value) for key, value in family if value],
        *[("tag", tag) for tag in tags or ()],
    )


@lru_cache(maxsize=4096)
def _list_common_terms(
    state: str,
    name: str | None,
    worker: str | None,
    queue: str | None,
    failure: str | None,
) -> tuple[tuple[str, str], ...]:
    """Return the places of a task that many tasks share."""
    terms = (
        ("state", state),
        ("name", name),
        ("worker", worker),
        ("queue", queue),
        ("failure", failure),
    )
    return tuple([(key, value) for key, value in terms if value])
