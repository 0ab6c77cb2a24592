"""Members of a group or chain in their order, and what broke a chain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.events.event import MAX_SMALL
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView

MAX_MEMBERS = 500
"""Members of a group or chain."""


def sort_members(tasks: Sequence[TaskView]) -> list[TaskView]:
    """Return tasks by their place in the group, each after its parent.

    Those whose place is not known follow by submission time.
    """
    known = {task.id: task for task in tasks}
    depths: dict[str, int] = {}

    def depth(task: TaskView) -> int:
        steps, at, seen = 0, task, {task.id}
        while at.parent_id in known and at.parent_id not in seen:
            if at.parent_id in depths:
                return steps + 1 + depths[at.parent_id]
            at = known[at.parent_id]
            seen.add(at.id)
            steps += 1
        return steps

    for task in tasks:
        depths[task.id] = depth(task)
    return sorted(
        tasks,
        key=lambda t: (
            depths[t.id],
            MAX_SMALL if t.group_index is None else t.group_index,
            t.submitted_at or "",
            t.id,
        ),
    )


def find_broken_link(task: TaskView, members: dict[str, TaskView]) -> TaskView | None:
    """Return the ended task because of which `task` can never run;
    None if there is none."""
    at = task
    if at.state != views.PENDING:
        return None
    for _ in range(len(members)):
        before = members.get(at.parent_id or "")
        if before is None:
            return None
        if before.final and before.state != views.SUCCESS:
            return before
        at = before
    return None
