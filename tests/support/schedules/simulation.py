"""Simulate looks at a schedule, with given runs and gaps. No clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from herald_core.model.schedules.follow import Sight, advance, begin_track
from herald_core.model.schedules.runs import ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Track
from herald_core.model.tasks.views import SUCCESS

START = 1_764_460_800.0  # 2025-11-30T00:00:00Z
LOOK_INTERVAL_S = 5.0

MINUTELY = ScheduleSpec(
    id="app-1", name="minutely", task="jobs.tick", source="app", when="every minute"
)
EACH_MINUTE = ScheduleSpec(
    id="app-2",
    name="each-60-s",
    task="jobs.tick",
    source="app",
    when="every 60 s",
    interval=60.0,
)


def make_next_due(step: float) -> Callable[[float], float]:
    """Return the due times of a calendar: each multiple of `step` seconds."""
    return lambda after: (after // step + 1) * step


def make_interval_due(interval: float) -> Callable[[float], float]:
    """Return the due times of an interval: that many seconds after the last run."""
    return lambda after: after + interval


def make_run(
    at: float,
    *,
    id_: str = "",
    state: str = SUCCESS,
    start: float | None = 0.1,
    end: float | None = 1.0,
    sent: bool = True,
) -> ScheduledRun:
    """Return a run that was submitted at `at`; `start` and `end` are seconds later."""
    return ScheduledRun(
        task_id=id_ or f"run-{at}",
        at=at,
        state=state,
        sent=sent,
        started_at=None if start is None else at + start,
        finished_at=None if end is None else at + end,
    )


def watch(
    spec: ScheduleSpec,
    next_due: Callable[[float], float | None],
    runs: Sequence[ScheduledRun],
    *,
    seconds: float,
    track: Track | None = None,
    start: float = START,
    gaps: tuple[tuple[float, float], ...] = (),
    on_look: Callable[[Track, float], None] | None = None,
) -> Track:
    """Look at `spec` every 5 s from `start` for `seconds`; each run is seen in time."""
    track = track or begin_track(spec, next_due, start)
    for step in range(int(seconds / LOOK_INTERVAL_S) + 1):
        now = start + step * LOOK_INTERVAL_S
        seen = [run for run in runs if run.at <= now]
        sight = Sight(now=now, known_until=now, gaps=gaps)
        track = advance(track, spec, seen, next_due, sight)
        if on_look is not None:
            on_look(track, now)
    return track
