"""Why a task is lost, or its outcome unknown, as sentences."""

from __future__ import annotations

from herald_core.model.loss.lost_rules import (
    MIN_CHECKS,
    ClusterSnapshot,
    MissingSince,
    TimeRanges,
    compute_silence_s,
    is_dropped,
    is_gap_after,
    will_be_redelivered,
)
from herald_core.model.tasks.views import STARTED, TaskView
from herald_core.model.workers import worker as w

UNRESPONSIVE_FACTOR = 2.0
"""The additional wait if an online worker does not answer: it may have the task."""

COMES_AGAIN = "its message is not confirmed, so that the broker will deliver it again"
MAY_COME_AGAIN = (
    "if its message was not confirmed (acks_late), it waits to be delivered again"
    " in a queue, where this broker does not show it"
)
"""The information about another delivery of a lost task."""

MAY_HAVE_RUN = (
    "not all that happened meanwhile was heard, so it may have run if it was sent with"
    " ignore_result"
)


def explain_loss(
    task: TaskView, where: ClusterSnapshot, absence: MissingSince, lost_after: float
) -> str:
    """Return why `task`, found nowhere, is lost; an empty text if it is not yet."""
    if where.has_unresponsive_worker:
        lost_after *= UNRESPONSIVE_FACTOR
    if task.state == STARTED:
        return _explain_not_running(task, where, absence, lost_after)
    # No answer shows a message that is prefetched but not yet processed.
    since = max(absence.since, where.last_taken.get(task.queue or "", 0.0))
    if absence.checks < MIN_CHECKS or where.taken_at - since < lost_after:
        return ""
    return (
        f"it waited to be run, but for {_format_span(where.taken_at - absence.since)}"
        " it has been in no queue of the broker, with no worker that answers, and"
        " without a result"
    )


def _explain_not_running(
    task: TaskView, where: ClusterSnapshot, absence: MissingSince, lost_after: float
) -> str:
    again = _describe_redelivery(task, where)
    if is_dropped(task, where):
        # A replaced task may wait for its last delivery where no query finds it.
        min_absence_s = 0.0 if where.queues_known else lost_after
        absence_s = where.taken_at - absence.since
        if absence.checks < MIN_CHECKS or absence_s < min_absence_s:
            return ""
        return _explain_drop(task, where) + again
    silent = compute_silence_s(task, where)
    if silent <= lost_after:
        return ""
    one = where.workers.get(task.worker or "")
    if one is not None and one.state == w.OFFLINE:
        return (
            f"worker {task.worker} sent worker-offline, and for"
            f" {_format_span(silent)} after the time that it had to finish, no event of"
            f" the task came{again}"
        )
    return (
        f"worker {task.worker or 'unknown'}, which ran it, has been silent for"
        f" {_format_span(silent)}, and no other worker has it{again}"
    )


def _describe_redelivery(task: TaskView, where: ClusterSnapshot) -> str:
    """Return the reason why a lost task may be delivered again."""
    if will_be_redelivered(task, where):
        return f"; {COMES_AGAIN}"
    confirmed = where.confirmed.get(task.worker or "", {}).get(task.id)
    if confirmed or where.queues_known:
        return ""
    return f"; {MAY_COME_AGAIN}"


def _explain_drop(task: TaskView, where: ClusterSnapshot) -> str:
    one = where.workers.get(task.worker or "")
    if one is not None and one.is_started_after(task.started_at):
        return f"worker {task.worker} was restarted at {one.started_at} without it"
    return (
        f"worker {task.worker} lives but has it no more, and there is no result: it"
        " ended without a word (Ignore(), or its events were lost and it keeps no"
        " result)"
    )


def explain_unknown_start(
    task: TaskView, where: ClusterSnapshot, absence: MissingSince, gaps: TimeRanges
) -> str:
    """Return why the start of `task` is unknown, as found by `may_have_run`."""
    why = (
        "events were missed meanwhile"
        if is_gap_after(task, gaps)
        else f"worker {task.worker}, which received it, ended meanwhile"
    )
    return (
        f"whether it ran, and how it ended, is not known: {why},"
        f" for {_format_span(where.taken_at - absence.since)} it has been in no queue"
        " of the broker and with no worker that answers, and nobody keeps its result"
    )


def explain_unknown_end(task: TaskView) -> str:
    """Return why the end of `task` is unknown, as found by `may_have_ended`."""
    return (
        "it has ended, but how is not known: events were missed meanwhile, worker"
        f" {task.worker}, which ran it, lives and has it no more, and there is no"
        " result"
    )


def _format_span(span: float) -> str:
    return f"{span:.0f} s"
