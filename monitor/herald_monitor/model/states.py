"""The state of a task, by its events and by what was found out by asking.

Order of truth: a final state in the result backend, then a later attempt, then
a later step of that attempt; never the clocks of two hosts.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    "ignored": shape.IGNORED,
}

CROSSING = 2.0
"""Seconds in which a worker's answer and its next event may cross."""

SAID_AFTER = 1.0
"""Seconds by which a worker may say late that a task has started."""

AT_ONCE = 0.1
"""Seconds between two times that are read off one clock for one thing."""

STORED_BEFORE = 5.0
"""Seconds by which a worker may say late that a task has ended: it stores first."""

WAITING = (shape.PENDING, shape.RECEIVED)


def state_of(
    task: Task, run: Run | None, runs: Sequence[Run]
) -> tuple[str, Mark | None]:
    """Return the state and the mark that says so."""
    state, by = state_of_run(run) if run else (shape.PENDING, None)
    if not task.reports:
        return state, by
    for report in sorted(task.reports, key=lambda r: (r.arrived, r.at)):
        if report.kind in OUTCOMES and report.source == "backend":
            if not is_of_earlier_run(report, run, runs):
                state, by = _agreed(report, run) or (STATE_OF[report.kind], report)
        elif report.kind == "revoked" and report.source == "inspect":
            if state not in shape.FINAL and is_pledged(report, run):
                state, by = shape.REVOKED, report
        elif (
            state not in shape.FINAL
            and (by is None or report.at > by.heard)
            and not _of_earlier_attempt(report, run)
        ):
            state, by = _weaker(report, state, by, _heard_last(task))
    return state, by


def is_of_earlier_run(report: Mark, run: Run | None, runs: Sequence[Run]) -> bool:
    """Return True if the ending that the backend told is of a run before `run`.

    It is if the worker that has `run` stored it before; of another worker's, whose
    clock tells nothing, if it was known before `run` was heard of; or if it is the
    ending of another run. A backend that is asked late tells endings of long ago.
    """
    if run is None:
        return False
    own = run.received or run.started
    if own is not None and report.host == own.host:
        # A worker receives a task before it stores its end, by one clock.
        slack = 0.0 if run.received else SAID_AFTER
        if report.spoken < own.spoken - slack:
            return True
    elif (begun := _begun(run)) is not None and report.arrived < begun:
        return True
    return any(_is_end_of(other, report) for other in runs if other is not run)


def _is_end_of(run: Run, report: Mark) -> bool:
    """Say whether `report` is of `run`: the same worker tells both, by one clock."""
    end = run.end
    if end is None or end.kind != report.kind:
        return False
    return -STORED_BEFORE <= report.spoken - end.spoken <= AT_ONCE


def is_pledged(report: Mark, run: Run | None) -> bool:
    """Say whether the worker that has `run` confirmed that it will not let it end.

    A worker that names a task in its answer to `revoke` has the task, and stops it at
    its start (celery/worker/request.py: `Request.terminate`). In a pool of threads it
    tells a start and no end then. A later delivery to another boot is another run.
    """
    if run is None or run.here is None:
        return run is None or run.retries <= 0
    here = run.here
    return (
        run.end is None
        and here.host == report.host
        and report.pid in (0, here.pid)
        and here.arrived <= report.arrived + CROSSING * 1000
    )


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


def _begun(run: Run) -> int | None:
    """Return when `run` had begun for sure (unix milliseconds, by hearing).

    A result may be heard before the events of its run: they come by another
    connection, and the parent process says `started` after its child may have ended.
    """
    if run.started:
        first = run.received or run.started
        return first.arrived - round(SAID_AFTER * 1000)
    # Its start was lost; the worker stores an outcome after it received the task.
    return run.received.arrived if run.received and run.over else None


def _heard_last(task: Task) -> float:
    heard = [m.heard for m in task.marks]
    if task.past is not None:
        heard.append(task.past.heard / 1000)
    return max([*heard, task.step.heard] if task.step else heard, default=0.0)


def _weaker(
    report: Mark, state: str, by: Mark | None, heard: float
) -> tuple[str, Mark | None]:
    """Return the state after a `report` that is no final word of the backend.

    `heard` is when the task's last event arrived: any word of it ends `LOST`, as it
    ends the wait of what ran on a worker that died and is not confirmed.
    """
    if report.kind == "lost" and report.at > heard:
        # With the flag only the run is over: its message will be delivered again.
        return (shape.PENDING if report.flag else shape.LOST), report
    if report.kind == "ignored" and report.at > heard:
        return shape.IGNORED, report
    if report.kind == "ended" and report.at > heard:
        return state, report  # nobody tells how it ended: it is shown with a reason
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
