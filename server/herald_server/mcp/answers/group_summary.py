"""Present a group of tasks: counts and progress. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.control.cancel.sentences import describe_group
from herald_server.insight.groups.reader import GroupSummary
from herald_server.mcp.answers.presenters import get_status, is_done


def summarize_group(
    group_id: str, tasks: Sequence[TaskView], found: GroupSummary | None
) -> dict[str, Any]:
    """Return the state of a group, of which `tasks` are the newest.

    Unless it is `whole`, `total` counts only the known members, and it is not `final`.
    """
    if found is None:
        return {
            **summarize_tasks(group_id, [], 0),
            "whole": False,
            "message": "Herald has heard of no task of this group.",
        }
    summary = summarize_tasks(group_id, tasks, found.total)
    counts = {state.lower(): number for state, number in found.counts.items()}
    summary |= {
        "done": found.over,
        "final": found.is_done,
        "whole": found.whole,
        "counts": dict(sorted(counts.items())),
        "message": describe_group(found),
    }
    summary["progress"]["current"] = found.over
    if len(tasks) < found.heard or not found.whole:
        summary["progress"]["percent"] = found.percent
    if len(tasks) < found.heard:
        summary["message"] += f" Based on the newest {len(tasks):,} only."
    return summary


def summarize_tasks(
    group_id: str, tasks: Sequence[TaskView], total: int
) -> dict[str, Any]:
    """Return the state of related tasks; `tasks` are the newest.

    `progress.percent` is the mean over the tasks; one that has ended counts as 100, one
    without progress as 0.
    """
    counts = Counter(get_status(task) for task in tasks)
    done = sum(is_done(task) for task in tasks)
    return {
        "group_id": group_id,
        "total": total,
        "done": done,
        "final": bool(tasks) and done == total,
        "counts": dict(sorted(counts.items())),
        "progress": {
            "percent": _compute_percent(tasks, total),
            "current": done,
            "total": total,
        },
        "tasks": [_describe_member(task) for task in tasks],
    }


def _compute_percent(tasks: Sequence[TaskView], total: int) -> float | None:
    if not tasks:
        return None
    mean = sum(_compute_task_share(task) for task in tasks) / max(total, len(tasks))
    # Rounded down: 100 only when all have finished.
    return int(10 * mean + 1e-6) / 10


def _compute_task_share(task: TaskView) -> float:
    if is_done(task):
        return 100.0
    return (task.progress.percent if task.progress else None) or 0.0


def _describe_member(task: TaskView) -> dict[str, Any]:
    fields = ("id", "name", "state", "progress", "worker", "exception", "updated_at")
    shown = views.to_dict(task)
    return {key: shown[key] for key in fields if key in shown}
