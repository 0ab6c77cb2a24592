"""Where an unfinished task can be, and whether it must be given up for lost.

A task is lost when everybody who could have it was asked and nobody has it: no
living worker, no queue of the broker, and no ending in the result backend. Silence
alone proves nothing: a worker that is busy, stopped or set so says nothing either.
Its death is proven by the broker, which has no connection of it any more, by its own
goodbye, or by the process that took its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import msgspec

from herald_monitor.model import workers as w
from herald_monitor.model.shape import (
    LOST,
    PENDING,
    RECEIVED,
    RETRY,
    STARTED,
    TaskImage,
    unix,
)
from herald_monitor.model.workers import WorkerImage

LOOKS = 2
"""Looks in a row that must not find a task: a message may be between two places."""

MUTE_FACTOR = 2.0
"""How much longer to wait where a living worker does not answer: it may have it."""

COMES_AGAIN = "its message is not confirmed, so that the broker will deliver it again"
MAY_COME_AGAIN = (
    "if its message was not confirmed (acks_late), it waits to be delivered again"
    " in a queue, where this broker does not show it"
)
"""What is known of another delivery of a task that is lost."""

MAY_HAVE_RUN = (
    "not all that happened meanwhile was heard, so it may have run if it was sent with"
    " ignore_result"
)

Gaps: TypeAlias = Sequence[tuple[float, float]]
"""Since and until when (unix seconds) events may have been missed."""


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one look around found. `at` (unix seconds) is when it began."""

    at: float
    workers: Mapping[str, WorkerImage] = {}
    answered: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    """Tasks that a worker has: running, waiting for a place, or for their time."""
    queued: frozenset[str] = frozenset()
    """Tasks whose message lies in a queue."""
    unacked: frozenset[str] = frozenset()
    """Tasks whose message was given out and is not confirmed; it comes back."""
    queues_known: bool = True
    """Whether a message that was not found lies in no queue."""
    grace: float = w.DRAIN_FOR
    """Seconds that a worker may take to finish after its goodbye."""
    confirmed: Mapping[str, Mapping[str, bool]] = {}
    """By worker, whether the message of what it ran was confirmed, as last told."""
    reachable: frozenset[str] = frozenset()
    """Silent workers of which the broker may still have a connection: they live."""
    untold: frozenset[str] = frozenset()
    """Tasks of which nothing will tell how they ended, if they did: nobody keeps their
    result, and no rate limit keeps them back."""
    unheard: bool = False
    """Whether a process is connected that neither answered nor is heard."""
    taken: frozenset[str] = frozenset()
    """Queues with more consumers than the workers that are heard account for."""
    last_taken: Mapping[str, float] = {}
    """By queue, when a living consumer last took a message (unix seconds); only of
    brokers that do not show what they gave to consumers."""
    listening_since: float = 0.0
    """Since when (unix seconds) workers would have been heard without a break."""

    @cached_property
    def mute(self) -> bool:
        """Whether a worker lives and did not answer."""
        return any(
            one.state == w.ONLINE and name not in self.answered
            for name, one in self.workers.items()
        )


class Absence(msgspec.Struct, frozen=True, gc=False):
    """Since when (unix seconds) a task was found nowhere, and in how many looks."""

    since: float
    looks: int = 1


def is_suspect(task: TaskImage, where: Whereabouts, lost_after: float) -> bool:
    """Say whether it is worth while to look for `task` in the broker's queues."""
    if task.id in where.held or task.state == LOST:
        return False
    if task.state != STARTED:
        return where.at - _last_word(task) > lost_after / LOOKS
    return task.worker in where.answered or _silent_for(task, where) > lost_after


def is_absent(task: TaskImage, where: Whereabouts) -> bool:
    """Say whether `task` is nowhere, as far as the answers reach."""
    if task.id in where.held or task.id in where.queued:
        return False
    if task.state == STARTED:
        # What runs is in no queue, however many messages lie there. Only a
        # message that is not confirmed may come back, which is another run.
        return was_dropped(task, where) or not _may_run(task, where)
    if task.worker not in where.answered and _may_run(task, where):
        return False
    if where.unheard or (task.queue or "") in where.taken:
        return False  # whoever says nothing may have taken it
    if task.id not in where.untold and _may_be_kept_back(task, where):
        return False
    return task.id not in where.unacked and where.queues_known


def _may_be_kept_back(task: TaskImage, where: Whereabouts) -> bool:
    """Return True if a rate limit of the worker that received `task` may keep it.

    A worker names no such task in its answers (celery/worker/consumer/consumer.py:
    limit_task). Redis shows its message, RabbitMQ does not.
    """
    if task.state != RECEIVED or not where.last_taken:
        return False
    one = where.workers.get(task.worker or "")
    if one is None or one.hostname not in where.answered:
        return False
    return not one.was_started_after(task.received_at)


def was_dropped(task: TaskImage, where: Whereabouts) -> bool:
    """Say whether `task` ran on a worker that lives, and has it no more."""
    if task.state != STARTED or task.worker not in where.answered:
        return False
    one = where.workers.get(task.worker or "")
    # Of processes that share a name, the one that says nothing may have it.
    return not (where.unheard and one is not None and one.shared)


def comes_again(task: TaskImage, where: Whereabouts) -> bool:
    """Say whether the broker will deliver what ran once more: it is not confirmed."""
    if task.state != STARTED:
        return False
    told = where.confirmed.get(task.worker or "", {})
    return task.id in where.unacked or told.get(task.id) is False


def ended_by_itself(task: TaskImage, where: Whereabouts) -> bool:
    """Say whether `task` gave itself a state and then ended without a result.

    `update_state(state="SKIPPED"); raise Ignore()` is told by no event. Its worker,
    the one that ran it, lives and has it no more, and its message does not come back.
    """
    told = where.confirmed.get(task.worker or "", {})
    return (
        task.custom_state is not None
        and was_dropped(task, where)
        and not _was_started_anew(task, where)
        and task.id not in where.unacked
        and told.get(task.id) is not False
    )


def why_lost(
    task: TaskImage, where: Whereabouts, absence: Absence, lost_after: float
) -> str:
    """Return why `task`, found nowhere, is lost; an empty text if it is not yet."""
    if where.mute:
        lost_after *= MUTE_FACTOR
    if task.state == STARTED:
        return _why_not_run(task, where, absence, lost_after)
    # What a consumer was given, and has not looked at yet, is seen nowhere.
    since = max(absence.since, where.last_taken.get(task.queue or "", 0.0))
    if absence.looks < LOOKS or where.at - since < lost_after:
        return ""
    return (
        f"it waited to be run, but for {_seconds(where.at - absence.since)} it has been"
        " in no queue of the broker, with no worker that answers, and without a result"
    )


def ended_unheard(task: TaskImage, where: Whereabouts, gaps: Gaps) -> bool:
    """Return True if `task` may have ended well while nobody listened.

    Its worker is the same that started it, and has it no more; events were missed in
    one of `gaps` (unix seconds) since. There is no result: no backend, or the task
    ignores its result, so nothing tells more. What was concluded stays, whatever
    becomes of the worker.
    """
    if task.ended_unheard:
        return True
    one = where.workers.get(task.worker or "")
    if not was_dropped(task, where) or comes_again(task, where):
        return False
    if one is None or not task.started_at or one.was_started_after(task.started_at):
        return False
    return any(until >= unix(task.started_at) for _, until in gaps)


def may_have_run(task: TaskImage, where: Whereabouts, gaps: Gaps) -> bool:
    """Return True if `task`, which waited, may have run to its end unheard.

    Events were missed in one of `gaps` since its last word; or the worker that had
    received it said goodbye: what runs in its last moments may be told to nobody.
    """
    if task.id in where.held | where.queued | where.unacked:
        return False
    if task.reason or (task.state == PENDING and task.worker is not None):
        return False  # concluded already; or it ran before, which is shown that way
    if task.state not in (PENDING, RECEIVED, RETRY):
        return False
    return _missed_since(task, gaps) or _left(task, where)


def _missed_since(task: TaskImage, gaps: Gaps) -> bool:
    return any(until >= _last_word(task) for _, until in gaps)


def _left(task: TaskImage, where: Whereabouts) -> bool:
    one = where.workers.get(task.worker or "")
    return task.state == RECEIVED and one is not None and one.state == w.OFFLINE


def say_gone(task: TaskImage, where: Whereabouts, absence: Absence, gaps: Gaps) -> str:
    """Return why it is not known whether `task` ran, which `may_have_run` found."""
    why = (
        "events were missed meanwhile"
        if _missed_since(task, gaps)
        else f"worker {task.worker}, which received it, ended meanwhile"
    )
    return (
        f"whether it ran, and how it ended, is not known: {why},"
        f" for {_seconds(where.at - absence.since)} it has been in no queue of the"
        " broker and with no worker that answers, and nobody keeps its result"
    )


def say_ended(task: TaskImage) -> str:
    """Return why it is not known how `task` ended, which `ended_unheard` found."""
    return (
        "it has ended, but how is not known: events were missed meanwhile, worker"
        f" {task.worker}, which ran it, lives and has it no more, and there is no"
        " result"
    )


def at_risk(task: TaskImage, workers: Mapping[str, WorkerImage]) -> bool:
    """Say whether the worker that has `task` is not known to live."""
    if task.worker is None:
        return False
    one = workers.get(task.worker)
    return one is None or one.state in w.GONE


def _why_not_run(
    task: TaskImage, where: Whereabouts, absence: Absence, lost_after: float
) -> str:
    again = _comes_again(task, where)
    if was_dropped(task, where):
        # A task that was replaced may wait, for its last run, where nobody sees it.
        patience = 0.0 if where.queues_known else lost_after
        if absence.looks < LOOKS or where.at - absence.since < patience:
            return ""
        return _why_dropped(task, where) + again
    silent = _silent_for(task, where)
    if silent <= lost_after:
        return ""
    one = where.workers.get(task.worker or "")
    if one is not None and one.state == w.OFFLINE:
        return (
            f"worker {task.worker} said goodbye, and for {_seconds(silent)} after the"
            f" time that it had to finish, nothing was heard of the task{again}"
        )
    return (
        f"worker {task.worker or 'unknown'}, which ran it, has been silent for"
        f" {_seconds(silent)}, and no other worker has it{again}"
    )


def _comes_again(task: TaskImage, where: Whereabouts) -> str:
    """Return what is known of another delivery of what ran and is lost."""
    if comes_again(task, where):
        return f"; {COMES_AGAIN}"
    confirmed = where.confirmed.get(task.worker or "", {}).get(task.id)
    if confirmed or where.queues_known:
        return ""
    return f"; {MAY_COME_AGAIN}"


def _why_dropped(task: TaskImage, where: Whereabouts) -> str:
    one = where.workers.get(task.worker or "")
    if one is not None and one.was_started_after(task.started_at):
        return f"worker {task.worker} was started anew at {one.started_at} without it"
    return (
        f"worker {task.worker} lives but has it no more, and there is no result: it"
        " ended without a word (Ignore(), or its events were lost and it keeps no"
        " result)"
    )


def _was_started_anew(task: TaskImage, where: Whereabouts) -> bool:
    one = where.workers.get(task.worker or "")
    return one is not None and one.was_started_after(task.started_at)


def _may_run(task: TaskImage, where: Whereabouts) -> bool:
    one = where.workers.get(task.worker or "")
    if one is None:
        return False
    if one.state == w.SILENT:
        return one.hostname in where.reachable or _has_taken(task, one, where)
    return one.state in (w.ONLINE, w.DRAINING)


def _has_taken(task: TaskImage, one: WorkerImage, where: Whereabouts) -> bool:
    """Say whether a worker that never answers may be a consumer of the task's queue."""
    return one.slots is None and (task.queue or "") in where.taken


def _silent_for(task: TaskImage, where: Whereabouts) -> float:
    """Return the seconds since the last sign of life of `task` or its worker."""
    if _may_run(task, where):
        return 0.0
    one = where.workers.get(task.worker or "")
    last = _last_word(task)
    if one is not None and one.last_heartbeat_at:
        heard = unix(one.last_heartbeat_at)
        # Whoever says goodbye has some time to finish what runs.
        last = max(last, heard + (where.grace if one.state == w.OFFLINE else 0.0))
    # What was said while nobody listened was not heard: that is no silence.
    return where.at - max(last, where.listening_since)


def _last_word(task: TaskImage) -> float:
    return unix(task.updated_at) if task.updated_at else 0.0


def _seconds(span: float) -> str:
    return f"{span:.0f} s"
