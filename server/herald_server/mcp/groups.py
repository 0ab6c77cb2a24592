"""A group of tasks as one thing: how many are where, and how far it is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server.group_reader import GroupSummary
from herald_server.group_sentences import group_sentence
from herald_server.mcp.describing import over, status_of


def group_told(
    group_id: str, tasks: Sequence[TaskImage], found: GroupSummary | None
) -> dict[str, Any]:
    """Return what is known of a group, of which `tasks` are the newest.

    Unless it is `whole`, `total` counts the members that are known so far, and it is
    not `final`.
    """
    if found is None:
        return {
            **rolled_up(group_id, [], 0),
            "whole": False,
            "message": "Herald has heard of no task of this group.",
        }
    told = rolled_up(group_id, tasks, found.total)
    counts = {state.lower(): number for state, number in found.counts.items()}
    told |= {
        "done": found.over,
        "final": found.done,
        "whole": found.whole,
        "counts": dict(sorted(counts.items())),
        "message": group_sentence(found),
    }
    told["progress"]["current"] = found.over
    if len(tasks) < found.heard or not found.whole:
        told["progress"]["percent"] = found.percent
    if len(tasks) < found.heard:
        told["message"] += f" Told of the newest {len(tasks):,} only."
    return told


def rolled_up(group_id: str, tasks: Sequence[TaskImage], total: int) -> dict[str, Any]:
    """Return what is known of tasks that belong together; `tasks` are the newest.

    `progress.percent` is the mean over the tasks; one that has ended counts as 100,
    one that reported nothing as 0.
    """
    counts = Counter(status_of(task) for task in tasks)
    done = sum(over(task) for task in tasks)
    return {
        "group_id": group_id,
        "total": total,
        "done": done,
        "final": bool(tasks) and done == total,
        "counts": dict(sorted(counts.items())),
        "progress": {
            "percent": _percent(tasks, total),
            "current": done,
            "total": total,
        },
        "tasks": [_member(task) for task in tasks],
    }


def _percent(tasks: Sequence[TaskImage], total: int) -> float | None:
    if not tasks:
        return None
    mean = sum(_share(task) for task in tasks) / max(total, len(tasks))
    # Rounded down: 100 is said of none but what has ended.
    return int(10 * mean + 1e-6) / 10


def _share(task: TaskImage) -> float:
    if over(task):
        return 100.0
    return (task.progress.percent if task.progress else None) or 0.0


def _member(task: TaskImage) -> dict[str, Any]:
    fields = ("id", "name", "state", "progress", "worker", "exception", "updated_at")
    shown = shape.to_dict(task)
    return {key: shown[key] for key in fields if key in shown}
