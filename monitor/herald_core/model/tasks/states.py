"""The state of a task, from its events and from reports.

Order of truth: a final state in the result backend, then a later attempt, then a later
step of that attempt; never the clocks of two hosts.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.tasks import views
from herald_core.model.tasks.attempt_selection import select_delivery
from herald_core.model.tasks.deliveries import OUTCOME_KINDS, Delivery, EventMark
from herald_core.model.tasks.task import Task

STATES_BY_KIND = {
    "succeeded": views.SUCCESS,
    "failed": views.FAILURE,
    "revoked": views.REVOKED,
    "rejected": views.REJECTED,
    "retried": views.RETRY,
    # Celery itself stores RETRY for a cancelled task (worker/request.py:
    # Request.cancel), although only an unacknowledged message comes back.
    "cancelled": views.RETRY,
    "started": views.STARTED,
    "ignored": views.IGNORED,
}

CROSSING_S = 2.0
"""Seconds in which a worker's answer and its next event may cross."""

MAX_REPORT_DELAY_S = 1.0
"""Maximum delay in seconds of a worker's report that a task has started."""

SAME_MOMENT_S = 0.1
"""Seconds between two times that are read off one clock for one thing."""

MAX_STORE_LEAD_S = 5.0
"""Maximum delay in seconds of a worker's report that a task has ended: it stores
first."""

WAITING_STATES = (views.PENDING, views.RECEIVED)


def select_public_delivery(task: Task, runs: Sequence[Delivery]) -> Delivery:
    """Return the delivery that represents `task`; `runs` is not empty.

    A delivery that was concluded to be lost ends with the next one of its message.
    """
    run = select_delivery(runs)
    if not task.reports or not run.is_running:
        return run
    since = [
        report.at
        for report in task.reports
        if report.kind == "lost" and report.at > run.last.latest_arrival
    ]
    again = [
        other
        for other in runs
        if not other.is_started and any(other.opened_at_ms > at * 1000 for at in since)
    ]
    return max(again, key=_get_opened_at, default=run)


def _get_opened_at(run: Delivery) -> int:
    return run.opened_at_ms


def find_state(
    task: Task, run: Delivery | None, runs: Sequence[Delivery]
) -> tuple[str, EventMark | None]:
    """Return the state and the mark that proves it."""
    state, by = find_delivery_state(run) if run else (views.PENDING, None)
    if not task.reports:
        return state, by
    for report in sorted(task.reports, key=lambda r: (r.arrived_at_ms, r.at)):
        if report.kind in OUTCOME_KINDS and report.source == "backend":
            if not is_from_earlier_delivery(report, run, runs):
                state, by = _find_agreed_state(report, run) or (
                    STATES_BY_KIND[report.kind],
                    report,
                )
        elif report.kind == "revoked" and report.source == "inspect":
            if state not in views.FINAL_STATES and is_confirmed(report, run):
                state, by = views.REVOKED, report
        elif (
            state not in views.FINAL_STATES
            and (by is None or report.at > by.latest_arrival)
            and not _is_from_earlier_attempt(report, run)
        ):
            state, by = _apply_weaker_report(report, state, by, _get_last_arrival(task))
    return state, by


def is_from_earlier_delivery(
    report: EventMark, run: Delivery | None, runs: Sequence[Delivery]
) -> bool:
    """Return True if the backend's final state belongs to a delivery before `run`.

    That is so if the worker of `run` stored it before. Of another worker's, whose clock
    proves nothing, if it was known before the first event of `run`, or if it is the end
    of another delivery. A late query of a backend returns old ends.
    """
    if run is None:
        return False
    own = run.received or run.started
    if own is not None and report.host == own.host:
        # A worker receives a task before it stores its end, by one clock.
        slack = 0.0 if run.received else MAX_REPORT_DELAY_S
        if report.event_time < own.event_time - slack:
            return True
    elif (begun := _get_started_ms(run)) is not None and report.arrived_at_ms < begun:
        return True
    return any(_is_same_end(other, report) for other in runs if other is not run)


def _is_same_end(run: Delivery, report: EventMark) -> bool:
    """Return True if `report` is of `run`: the same worker and clock reported both."""
    end = run.end
    if end is None or end.kind != report.kind:
        return False
    return -MAX_STORE_LEAD_S <= report.event_time - end.event_time <= SAME_MOMENT_S


def is_confirmed(report: EventMark, run: Delivery | None) -> bool:
    """Return True if the worker that has `run` confirmed that it will terminate it.

    A worker that names a task in its answer to `revoke` has the task, and stops it at
    its start (celery/worker/request.py: `Request.terminate`). In a pool of threads it
    sends a start and no end then. A later delivery to another boot is separate.
    """
    if run is None or run.location is None:
        return run is None or run.retries <= 0
    here = run.location
    return (
        run.end is None
        and here.host == report.host
        and report.pid in (0, here.pid)
        and here.arrived_at_ms <= report.arrived_at_ms + CROSSING_S * 1000
    )


def _find_agreed_state(
    report: EventMark, run: Delivery | None
) -> tuple[str, EventMark] | None:
    """Return the state by the worker's own event if `report` agrees with it."""
    if run is None or not run.is_final or run.end is None:
        return None
    return find_delivery_state(run) if run.end.kind == report.kind else None


def _is_from_earlier_attempt(report: EventMark, run: Delivery | None) -> bool:
    """Return True if `report` may be of an attempt before the one of `run`.

    The backend stores RETRY until the next attempt ends, and names the attempt only
    with `result_extended`.
    """
    if run is None or report.source != "backend":
        return False
    if report.retries < 0 and report.kind != "retried":
        return False
    return max(report.retries, 0) < run.retries


def _get_started_ms(run: Delivery) -> int | None:
    """Return a time at which `run` had certainly started (unix ms, by arrival).

    A result may arrive before the events of its delivery: they use another connection,
    and the parent process may send `started` after the end of its child.
    """
    if run.started:
        first = run.received or run.started
        return first.arrived_at_ms - round(MAX_REPORT_DELAY_S * 1000)
    # Its start was lost; the worker stores an outcome after it received the task.
    return run.received.arrived_at_ms if run.received and run.is_final else None


def _get_last_arrival(task: Task) -> float:
    heard = [m.latest_arrival for m in task.marks]
    if task.past is not None:
        heard.append(task.past.received_at / 1000)
    return max(
        [*heard, task.progress.latest_arrival] if task.progress else heard, default=0.0
    )


def _apply_weaker_report(
    report: EventMark, state: str, by: EventMark | None, heard: float
) -> tuple[str, EventMark | None]:
    """Return the state after a `report` that is not a final state of the backend.

    `heard` is the arrival of the task's last event. Any event ends `LOST`, and the wait
    of an unacknowledged delivery whose worker is gone.
    """
    if report.kind == "lost" and report.at > heard:
        # With the flag only the run is over: its message will be delivered again.
        return (views.PENDING if report.flag else views.LOST), report
    if report.kind == "ignored" and report.at > heard:
        return views.IGNORED, report
    if report.kind == "ended" and report.at > heard:
        return state, report  # the outcome is unknown: the view carries a reason
    if report.kind == "received" and state in (views.PENDING, views.LOST):
        return views.RECEIVED, report
    if report.kind == "started" and (
        state in (*WAITING_STATES, views.LOST)
        or (state == views.RETRY and _is_retry_start(report, by, heard))
    ):
        return views.STARTED, report
    if report.kind == "retried" and state in (
        *WAITING_STATES,
        views.STARTED,
        views.LOST,
    ):
        return views.RETRY, report
    return state, by


def _is_retry_start(report: EventMark, by: EventMark | None, heard: float) -> bool:
    """Return True if a start found by inspection is of the awaited attempt.

    A child stores RETRY before its worker takes the task off the list of active ones.
    """
    assert by is not None, "RETRY is proved by a mark"
    # Reports of the backend are in the order in which they were stored.
    if by.source == report.source == "backend":
        return True
    return report.at > max(heard, by.latest_arrival) + CROSSING_S


def find_delivery_state(run: Delivery) -> tuple[str, EventMark]:
    """Return the state that events give `run`, and the mark that proves it."""
    mark = run.last
    if mark.kind == "rejected" and mark.flag:
        return views.PENDING, mark
    if mark.kind in STATES_BY_KIND:
        return STATES_BY_KIND[mark.kind], mark
    # A task that waits for another try is RETRY, as in the result backend.
    if run.retries > 0:
        return views.RETRY, mark
    return (views.RECEIVED if mark.kind == "received" else views.PENDING), mark
