"""The state of a task, by its events and by what was found out by asking.

Order of truth: a final state in the result backend, then a later attempt, then
a later step of that attempt; never the clocks of two hosts.
"""

from __future__ import annotations

from herald_monitor.model import shape
from herald_monitor.model.runs import OUTCOMES, Mark, Run
from herald_monitor.model.tasks import Task

STATE_OF = {
    "succeeded": shape.SUCCESS,
    "failed": shape.FAILURE,
    "revoked": shape.REVOKED,
    "rejected": shape.REJECTED,
    "retried": shape.RETRY,
    # Celery itself stores RETRY for a cancelled task (worker/request.py:
    # Request.cancel), although only an unacknowledged message comes back.
    "cancelled": shape.RETRY,
    "started": shape.STARTED,
}

CROSSING = 2.0
"""Seconds in which a worker's answer and its next event may cross."""

SAID_AFTER = 1.0
"""Seconds by which a worker may say late that a task has started."""

WAITING = (shape.PENDING, shape.RECEIVED)


def state_of(task: Task, run: Run | None) -> tuple[str, Mark | None]:
    """Return the state and the mark that says so."""
    state, by = state_of_run(run) if run else (shape.PENDING, None)
    if not task.reports:
        return state, by
    since = _begun(run) if run else None
    for report in sorted(task.reports, key=lambda r: r.at):
        if report.kind in OUTCOMES and report.source == "backend":
            # A run that began after the ending was stored is a second run.
            if since is None or since <= report.at:
                state, by = _agreed(report, run) or (STATE_OF[report.kind], report)
        elif (
            state not in shape.FINAL
            and (by is None or report.at > by.heard)
            and not _of_earlier_attempt(report, run)
        ):
            state, by = _weaker(report, state, by, _heard_last(task))
    return state, by


def _agreed(report: Mark, run: Run | None) -> tuple[str, Mark] | None:
    """Return the state by the worker's own word where `report` says the same."""
    if run is None or not run.over or run.end is None:
        return None
    return state_of_run(run) if run.end.kind == report.kind else None


def _of_earlier_attempt(report: Mark, run: Run | None) -> bool:
    """Say whether `report` may be of an attempt before the one of `run`.

    The backend keeps RETRY until the next attempt ends, and says of which attempt
    it is only with `result_extended`.
    """
    if run is None or report.source != "backend":
        return False
    if report.retries < 0 and report.kind != "retried":
        return False
    return max(report.retries, 0) < run.retries


def _begun(run: Run) -> float | None:
    """Return when `run` began for sure, by the clock of its worker."""
    if run.started:
        # The parent process says it, maybe after its child has stored the result.
        begun = run.started.at - SAID_AFTER
        return max(begun, run.received.at) if run.received else begun
    # Its start was lost; the worker stores an outcome after it received the task.
    return run.received.at if run.received and run.over else None


def _heard_last(task: Task) -> float:
    heard = [m.heard for m in task.marks]
    return max([*heard, task.step.heard] if task.step else heard, default=0.0)


def _weaker(
    report: Mark, state: str, by: Mark | None, heard: float
) -> tuple[str, Mark | None]:
    """Return the state after a `report` that is no final word of the backend.

    `heard` is when the task's last event arrived: any word of it ends `LOST`.
    """
    if report.kind == "lost" and report.at > heard:
        return shape.LOST, report
    if report.kind == "received" and state in (shape.PENDING, shape.LOST):
        return shape.RECEIVED, report
    if report.kind == "started" and (
        state in (*WAITING, shape.LOST)
        or (state == shape.RETRY and _ends_retry(report, by, heard))
    ):
        return shape.STARTED, report
    if report.kind == "retried" and state in (*WAITING, shape.STARTED, shape.LOST):
        return shape.RETRY, report
    return state, by


def _ends_retry(report: Mark, by: Mark | None, heard: float) -> bool:
    """Say whether a start that was found out is of the attempt that was waited for."""
    # What the backend says is in the order in which it was stored.
    in_order = by is not None and by.source == report.source == "backend"
    return in_order or report.at > heard + CROSSING


def state_of_run(run: Run) -> tuple[str, Mark]:
    """Return the state in which events leave `run`, and the mark that says so."""
    mark = run.last
    if mark.kind == "rejected" and mark.flag:
        return shape.PENDING, mark
    if mark.kind in STATE_OF:
        return STATE_OF[mark.kind], mark
    # Waiting to be run again is RETRY, as the result backend says too.
    if run.retries > 0:
        return shape.RETRY, mark
    return (shape.RECEIVED if mark.kind == "received" else shape.PENDING), mark
