"""The outcome of a due time: ok, late, overlapping, failed, missed, unknown. Pure."""

from __future__ import annotations

from herald_core.model.schedules.runs import FAILED_STATES, ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Occurrence

OK = "ok"
LATE = "late"
OVERLAPPING = "overlapping"
FAILED = "failed"
MISSED = "missed"
UNKNOWN = "unknown"
SCHEDULER_SILENT = "beat_silent"

OUTCOMES = (MISSED, FAILED, LATE, OVERLAPPING, UNKNOWN, OK)
"""The worst first."""


def classify(
    one: Occurrence,
    before: ScheduledRun | None,
    spec: ScheduleSpec,
    now: float | None = None,
) -> str:
    """Return the outcome of a due time; `before` is the run before it.

    A run that has not started is late once its grace is over at `now`.
    """
    if one.run is None:
        return UNKNOWN if one.unknown else MISSED
    if one.run.state in FAILED_STATES:
        return FAILED
    if compute_lateness(one.run, one.due, spec, now) > spec.grace:
        return LATE
    if before is not None and before.is_running_at(_find_start(one.run)):
        return OVERLAPPING
    return OK


def compute_lateness(
    run: ScheduledRun, due: float, spec: ScheduleSpec, now: float | None = None
) -> float:
    """Return by how many seconds a run was submitted, or started, after it was due.

    The longer of both; that of a run that waits grows with `now`.
    """
    started = run.started_at
    if run.is_waiting:
        started = now
    begun = 0.0 if started is None else started - due - spec.delay
    return max(run.at - due, begun, 0.0)


def _find_start(run: ScheduledRun) -> float:
    """Return when the run came to its worker, or was submitted if that is later."""
    return run.at if run.started_at is None else min(run.at, run.started_at)
