"""Learn a schedule from regular submissions of a task. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, cast

import msgspec

from herald_core.model.schedules.spec import (
    LEARNT,
    TAG_PREFIX,
    ScheduleSpec,
    make_schedule_id,
)
from herald_core.model.tasks.views import TaskView, from_rfc3339

MIN_RUNS = 8
"""Submissions from which on a schedule is learnt."""

MIN_INTERVAL_S = 5.0
MAX_JITTER = 0.02
MAX_JITTER_S = 1.0
"""An interval may differ from the median by this part of it, or by these seconds if
they are more."""


class LearntSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is submitted regularly, with the same arguments.

    `interval` and `jitter` (the largest difference from it) are in seconds; `runs` is
    the number of submissions that show it, from `first` to `last` (unix seconds).
    """

    task: str
    args: str | None
    kwargs: str | None
    interval: float
    jitter: float
    runs: int
    first: float
    last: float


def derive_schedules(task: str, tasks: Iterable[TaskView]) -> list[LearntSchedule]:
    """Return the schedules that the submissions of one task name show.

    Only what nobody's task sent counts: children, retries and members of groups do not.
    """
    calls: dict[tuple[str | None, str | None], list[float]] = {}
    for one in tasks:
        at = one.submitted_at or one.received_at
        if at is not None and _is_own_call(one):
            calls.setdefault((one.args, one.kwargs), []).append(from_rfc3339(at))
    learnt = [
        _derive(task, args, kwargs, sorted(times))
        for (args, kwargs), times in calls.items()
    ]
    return [one for one in learnt if one is not None]


def _is_own_call(task: TaskView) -> bool:
    tags = task.tags or ()
    return (
        task.parent_id is None
        and task.group_id is None
        and (task.root_id is None or task.root_id == task.id)
        and not any(tag.startswith(TAG_PREFIX) for tag in tags)
    )


def _derive(
    task: str, args: str | None, kwargs: str | None, times: Sequence[float]
) -> LearntSchedule | None:
    if len(times) < MIN_RUNS:
        return None
    intervals = [b - a for a, b in pairwise(times)]
    usual = median(intervals)
    jitter = max(abs(one - usual) for one in intervals)
    if usual < MIN_INTERVAL_S or jitter > max(usual * MAX_JITTER, MAX_JITTER_S):
        return None
    return LearntSchedule(
        task=task,
        args=args,
        kwargs=kwargs,
        interval=_round(usual),
        jitter=round(jitter, 3),
        runs=len(times),
        first=times[0],
        last=times[-1],
    )


def _round(interval: float) -> float:
    """Return whole seconds where the interval is as good as whole."""
    whole = round(interval)
    return float(whole) if abs(interval - whole) <= 0.1 else round(interval, 2)


def make_learnt_spec(learnt: LearntSchedule) -> ScheduleSpec:
    """Return the schedule that was learnt."""
    call = f"{learnt.task} {learnt.args} {learnt.kwargs}"
    return ScheduleSpec(
        id=make_schedule_id(LEARNT, call),
        name=learnt.task,
        task=learnt.task,
        source=LEARNT,
        when=f"every {learnt.interval:g} s",
        args=learnt.args,
        kwargs=learnt.kwargs,
        interval=learnt.interval,
    )


def read_learnt(view: Mapping[str, Any]) -> LearntSchedule | None:
    """Return what the image of a learnt schedule was made of; None of another one."""
    shown = view.get("learnt")
    if not isinstance(shown, Mapping):
        return None
    told = cast("Mapping[str, Any]", shown)
    return LearntSchedule(
        task=view["task"],
        args=view.get("args"),
        kwargs=view.get("kwargs"),
        interval=told["interval_s"],
        jitter=told["jitter_s"],
        runs=told["runs"],
        first=from_rfc3339(told["first"]),
        last=from_rfc3339(told["last"]),
    )
