"""Give each task to one of several schedules that it may be a run of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from herald_core.model.schedules.runs import ScheduledRun, may_belong_to, read_run
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Track
from herald_core.model.tasks.views import TaskView


def assign_runs(
    tasks: Iterable[TaskView], followed: Sequence[tuple[ScheduleSpec, Track]]
) -> dict[str, list[ScheduledRun]]:
    """Return the possible runs of each schedule, by its id.

    A task that fits several schedules belongs to the one whose due time is nearest, or
    to the one that has it already; each due time takes one.
    """
    owners = {
        one.run.task_id: spec.id
        for spec, track in followed
        for one in track.recent
        if one.run is not None
    }
    found: dict[str, list[ScheduledRun]] = {spec.id: [] for spec, _ in followed}
    for task in tasks:
        run = read_run(task)
        if run is None:
            continue
        owner = owners.get(task.id) or _choose_owner(run, task, followed, found)
        if owner is not None:
            found[owner].append(run)
    return found


def _choose_owner(
    run: ScheduledRun,
    task: TaskView,
    followed: Sequence[tuple[ScheduleSpec, Track]],
    found: dict[str, list[ScheduledRun]],
) -> str | None:
    fitting = [pair for pair in followed if may_belong_to(pair[0], task)]
    if not fitting:
        return None
    nearest = min(
        fitting,
        key=lambda pair: (_find_distance(run, *pair), len(found[pair[0].id])),
    )
    return nearest[0].id


def _find_distance(run: ScheduledRun, spec: ScheduleSpec, track: Track) -> float:
    """Return the seconds between a run and the nearest due time without one."""
    dues = [one.due for one in track.recent if one.run is None]
    dues += [] if track.pending is None else [track.pending]
    return min((abs(run.at - due) for due in dues), default=float("inf"))
