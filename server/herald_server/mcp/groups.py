"""A group of tasks as one thing: how many are where, and how far it is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server.mcp.describing import over, status_of


def rolled_up(group_id: str, tasks: Sequence[TaskImage], total: int) -> dict[str, Any]:
    """Return what is known of a group, of which `tasks` are the newest.

    `total` counts the tasks that were heard of: how many a group has in all, no
    event tells. `progress.percent` is the mean over the tasks; one that has
    ended counts as 100, one that reported nothing as 0.
    """
    counts = Counter(status_of(task) for task in tasks)
    done = sum(over(task) for task in tasks)
    told = {
        "group_id": group_id,
        "total": total,
        "done": done,
        "final": bool(tasks) and done == total,
        "counts": dict(sorted(counts.items())),
        "progress": {"percent": _percent(tasks), "current": done, "total": total},
        "tasks": [_member(task) for task in tasks],
    }
    if not tasks:
        told["message"] = "Herald has heard of no task of this group."
    elif total > len(tasks):
        told["message"] = f"Told of the newest {len(tasks)} of {total} tasks only."
    return told


def _percent(tasks: Sequence[TaskImage]) -> float | None:
    if not tasks:
        return None
    return round(sum(_share(task) for task in tasks) / len(tasks), 1)


def _share(task: TaskImage) -> float:
    if over(task):
        return 100.0
    return (task.progress.percent if task.progress else None) or 0.0


def _member(task: TaskImage) -> dict[str, Any]:
    fields = ("id", "name", "state", "progress", "worker", "exception", "updated_at")
    shown = shape.to_dict(task)
    return {key: shown[key] for key in fields if key in shown}
