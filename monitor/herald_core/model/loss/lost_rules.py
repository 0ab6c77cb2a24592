"""The possible locations of an unfinished task, and the rules for LOST.

A task is lost if every possible holder was asked and none has it: no online worker, no
queue of the broker, no final state in the result backend. Silence alone proves nothing:
a busy, stopped or so configured worker sends nothing either. A worker is proven gone in
three ways. The broker has no connection of it, it sent `worker-offline`, or another
process took its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import msgspec

from herald_core.model.tasks.views import (
    LOST,
    PENDING,
    RECEIVED,
    RETRY,
    STARTED,
    TaskView,
    from_rfc3339,
)
from herald_core.model.workers import worker as w
from herald_core.model.workers.worker import WorkerView

MIN_CHECKS = 2
"""Looks in a row that must not find a task: a message may be between two places."""

TimeRanges: TypeAlias = Sequence[tuple[float, float]]
"""Since and until when (unix seconds) events may have been missed."""


class ClusterSnapshot(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The result of one scan of the cluster. `taken_at` (unix seconds) is its start."""

    taken_at: float
    workers: Mapping[str, WorkerView] = {}
    answered: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    """Tasks that a worker has: running, waiting for a place, or for their time."""
    queued: frozenset[str] = frozenset()
    """Tasks whose message lies in a queue."""
    unacked: frozenset[str] = frozenset()
    """Tasks whose message was given out and is not confirmed; it comes back."""
    queues_known: bool = True
    """True if a message that was not found is in no queue."""
    grace: float = w.DRAIN_TIMEOUT_S
    """Seconds that a worker may take to finish after `worker-offline`."""
    confirmed: Mapping[str, Mapping[str, bool]] = {}
    """By worker, True if the message of its last task was acknowledged, as last
    reported."""
    reachable: frozenset[str] = frozenset()
    """Silent workers of which the broker may still have a connection: they live."""
    unrecoverable: frozenset[str] = frozenset()
    """Tasks whose outcome no source will report, if they ended: their result is not
    stored, and no rate limit delays them."""
    has_silent_process: bool = False
    """True if a process is connected that neither answered nor sends events."""
    hidden_queues: frozenset[str] = frozenset()
    """Queues with more consumers than the known workers account for."""
    last_taken: Mapping[str, float] = {}
    """By queue, when a living consumer last took a message (unix seconds); only of
    brokers that do not show what they gave to consumers."""
    listening_since: float = 0.0
    """The start (unix seconds) of uninterrupted listening to workers."""

    @cached_property
    def has_unresponsive_worker(self) -> bool:
        """True if an online worker did not answer."""
        return any(
            one.state == w.ONLINE and name not in self.answered
            for name, one in self.workers.items()
        )


class MissingSince(msgspec.Struct, frozen=True, gc=False):
    """Since when (unix seconds) a task was found nowhere, and in how many looks."""

    since: float
    checks: int = 1


def needs_queue_lookup(
    task: TaskView, where: ClusterSnapshot, lost_after: float
) -> bool:
    """Return True if a lookup of `task` in the broker's queues is useful."""
    if task.id in where.held or task.state == LOST:
        return False
    if task.state != STARTED:
        return where.taken_at - get_last_sign(task) > lost_after / MIN_CHECKS
    return task.worker in where.answered or compute_silence_s(task, where) > lost_after


def is_missing(task: TaskView, where: ClusterSnapshot) -> bool:
    """Return True if no answer shows `task` anywhere."""
    if task.id in where.held or task.id in where.queued:
        return False
    if task.state == STARTED:
        # A running task is in no queue, however many messages wait there. Only an
        # unacknowledged message may be redelivered, which is another delivery.
        return is_dropped(task, where) or not _may_run(task, where)
    if task.worker not in where.answered and _may_run(task, where):
        return False
    if where.has_silent_process or (task.queue or "") in where.hidden_queues:
        return False  # a worker that does not answer may have the task
    if task.id not in where.unrecoverable and _may_be_rate_limited(task, where):
        return False
    return task.id not in where.unacked and where.queues_known


def _may_be_rate_limited(task: TaskView, where: ClusterSnapshot) -> bool:
    """Return True if a rate limit of the worker that received `task` may delay it.

    A worker names no such task in its answers (celery/worker/consumer/consumer.py:
    limit_task). Redis shows its message, RabbitMQ does not.
    """
    if task.state != RECEIVED or not where.last_taken:
        return False
    one = where.workers.get(task.worker or "")
    if one is None or one.hostname not in where.answered:
        return False
    return not one.is_started_after(task.received_at)


def is_dropped(task: TaskView, where: ClusterSnapshot) -> bool:
    """Return True if `task` ran on an online worker that no longer has it."""
    if task.state != STARTED or task.worker not in where.answered:
        return False
    one = where.workers.get(task.worker or "")
    # If processes share a name, the one that does not answer may have the task.
    return not (where.has_silent_process and one is not None and one.shared)


def will_be_redelivered(task: TaskView, where: ClusterSnapshot) -> bool:
    """Return True if the broker will redeliver an unacknowledged message of `task`."""
    if task.state != STARTED:
        return False
    acks = where.confirmed.get(task.worker or "", {})
    return task.id in where.unacked or acks.get(task.id) is False


def is_ended_by_itself(task: TaskView, where: ClusterSnapshot) -> bool:
    """Return True if `task` set its own state and then ended without a result.

    `update_state(state="SKIPPED"); raise Ignore()` sends no event. The worker that ran
    it is online and no longer has it, and its message is not redelivered.
    """
    acks = where.confirmed.get(task.worker or "", {})
    return (
        task.custom_state is not None
        and is_dropped(task, where)
        and not _is_worker_restarted(task, where)
        and task.id not in where.unacked
        and acks.get(task.id) is not False
    )


def may_have_ended(task: TaskView, where: ClusterSnapshot, gaps: TimeRanges) -> bool:
    """Return True if `task` may have succeeded while no monitor received events.

    The process that started it is still running and no longer has it; events were
    missed since in one of `gaps` (unix seconds). There is no result: no backend, or the
    task ignores its result. The conclusion stays, whatever happens to the worker.
    """
    if task.has_unknown_outcome:
        return True
    one = where.workers.get(task.worker or "")
    if not is_dropped(task, where) or will_be_redelivered(task, where):
        return False
    if one is None or not task.started_at or one.is_started_after(task.started_at):
        return False
    return any(until >= from_rfc3339(task.started_at) for _, until in gaps)


def may_have_run(task: TaskView, where: ClusterSnapshot, gaps: TimeRanges) -> bool:
    """Return True if `task`, which waited, may have run to its end without events.

    Events were missed in one of `gaps` since its last event, or the worker that
    received it sent `worker-offline`. Events of a worker's last moments may be lost.
    """
    if task.id in where.held | where.queued | where.unacked:
        return False
    if task.reason or (task.state == PENDING and task.worker is not None):
        return False  # concluded already; or it ran before, which is shown that way
    if task.state not in (PENDING, RECEIVED, RETRY):
        return False
    return is_gap_after(task, gaps) or _is_worker_gone(task, where)


def is_gap_after(task: TaskView, gaps: TimeRanges) -> bool:
    """Return True if events may have been missed since the last one of `task`."""
    return any(until >= get_last_sign(task) for _, until in gaps)


def _is_worker_gone(task: TaskView, where: ClusterSnapshot) -> bool:
    one = where.workers.get(task.worker or "")
    return task.state == RECEIVED and one is not None and one.state == w.OFFLINE


def is_at_risk(task: TaskView, workers: Mapping[str, WorkerView]) -> bool:
    """Return True if the worker that has `task` is not known to be online."""
    if task.worker is None:
        return False
    one = workers.get(task.worker)
    return one is None or one.state in w.GONE_STATES


def _is_worker_restarted(task: TaskView, where: ClusterSnapshot) -> bool:
    one = where.workers.get(task.worker or "")
    return one is not None and one.is_started_after(task.started_at)


def _may_run(task: TaskView, where: ClusterSnapshot) -> bool:
    one = where.workers.get(task.worker or "")
    if one is None:
        return False
    if one.state == w.SILENT:
        return one.hostname in where.reachable or _has_taken(task, one, where)
    return one.state in (w.ONLINE, w.DRAINING)


def _has_taken(task: TaskView, one: WorkerView, where: ClusterSnapshot) -> bool:
    """Return True if a worker that never answers may consume the task's queue."""
    return one.slots is None and (task.queue or "") in where.hidden_queues


def compute_silence_s(task: TaskView, where: ClusterSnapshot) -> float:
    """Return the seconds since the last sign of life of `task` or its worker."""
    if _may_run(task, where):
        return 0.0
    one = where.workers.get(task.worker or "")
    last = get_last_sign(task)
    if one is not None and one.last_heartbeat_at:
        seen_at = from_rfc3339(one.last_heartbeat_at)
        # A worker that sends `worker-offline` has some time to finish running tasks.
        last = max(last, seen_at + (where.grace if one.state == w.OFFLINE else 0.0))
    # Events that were sent while no monitor listened do not count as silence.
    return where.taken_at - max(last, where.listening_since)


def get_last_sign(task: TaskView) -> float:
    """Return the time of the last event of `task` (unix seconds); 0 without one."""
    return from_rfc3339(task.updated_at) if task.updated_at else 0.0
