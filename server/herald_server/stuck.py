"""Why a task does not get on: a decision about what is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import unix
from herald_monitor.model.workers import DRAINING, ONLINE, WorkerImage
from herald_server import queue_consumers, queues
from herald_server.durations import spoken
from herald_server.stuck_facts import Facts


class Why(msgspec.Struct, frozen=True):
    """A finding: a code, a sentence, and what to do (empty: nothing)."""

    reason: str
    message: str
    advice: str = ""


def why(facts: Facts) -> Why:
    """Return why the task is where it is; the first finding that explains it."""
    for look in (_missing, _over, _cancelled, _retrying, _running, _received, _waiting):
        found = look(facts)
        if found is not None:
            return found
    return Why(
        "in_queue",
        f"It waits in the queue {_queue(facts)!r}{queues.behind(_measured(facts))}; "
        f"{queue_consumers.say_taken(facts)}.",
        "Wait, or add workers if the queue does not get shorter.",
    )


def _missing(facts: Facts) -> Why | None:
    task = facts.task
    if task.state == shape.UNKNOWN:
        if facts.asked.held:
            host, how = next(iter(facts.asked.held.items()))
            return Why(
                "held_unheard",
                f"Herald heard no event of it, but worker {host} has it ({how}).",
                "Start the workers with -E, so that they tell of their tasks.",
            )
        return Why(
            "unknown",
            "Herald has never heard of this task id.",
            "Check that the id is complete and exact.",
        )
    if task.state == shape.EXPIRED:
        return Why(
            "record_ran_out", "What was known of it has run out; it is long over."
        )
    if task.state == shape.LOST:
        because = f" ({task.reason})" if task.reason else ""
        return Why(
            "lost",
            f"No worker knows of it any more{because}; its worker probably died.",
            "Start it again with retry_task if it is still needed.",
        )
    return None


def _over(facts: Facts) -> Why | None:
    task = facts.task
    if not task.final:
        return None
    return Why(
        "over",
        f"It is not stuck: it ended as {task.state.lower()} at {task.finished_at}.",
        "" if task.state == shape.SUCCESS else "retry_task starts it again.",
    )


def _cancelled(facts: Facts) -> Why | None:
    if facts.asked.revoked:
        hosts = "a worker" if facts.narrow else _listed(facts.asked.revoked)
        return Why(
            "revoked",
            f"It was cancelled: {hosts} will discard it when its turn comes.",
        )
    if facts.cancel_at and not facts.task.started_at:
        return Why(
            "cancel_pending",
            f"A cancel was asked for at {facts.cancel_at}; no worker has confirmed it "
            "yet. It is repeated to workers that join.",
        )
    return None


def _retrying(facts: Facts) -> Why | None:
    task = facts.task
    if task.state != shape.RETRY:
        return None
    eta = _ahead(task.eta, facts.now)
    until = f" until {task.eta}" if eta else ""
    error = f" after {task.exception}" if task.exception else ""
    return Why(
        "waits_for_retry",
        f"Attempt {task.attempt or 1} failed{error}; it waits{until} for the next.",
        _silent_advice(facts),
    )


def _running(facts: Facts) -> Why | None:
    task = facts.task
    if task.state != shape.STARTED:
        return None
    silent = _silent(facts)
    if silent:
        return silent
    spent = facts.now - unix(task.started_at) if task.started_at else 0.0
    usual = ""
    slow = facts.measured is not None and spent > facts.measured.p99
    if facts.measured:
        usual = f"; such tasks take {facts.measured.said}"
    return Why(
        "runs_long" if slow else "runs",
        f"It has run for {spoken(spent)} on {task.worker}{usual}.",
        "It takes longer than 99 % of its kind: see what its worker does."
        if slow
        else "",
    )


def _received(facts: Facts) -> Why | None:
    task = facts.task
    if task.state != shape.RECEIVED:
        return None
    if _ahead(task.eta, facts.now):
        return Why("eta_ahead", f"It is not to start before {task.eta}.")
    silent = _silent(facts)
    if silent:
        return silent
    rate = facts.asked.known.get(task.worker or "", {}).get(task.name or "")
    if rate:
        return Why(
            "rate_limited",
            f"Worker {task.worker} runs at most {rate} of {task.name}, and has "
            "received it.",
            "Raise the rate limit, or add workers.",
        )
    return Why(
        "prefetched",
        f"Worker {task.worker} has received it and is busy with other tasks; no other "
        "worker can take it.",
        "Wait, or lower worker_prefetch_multiplier so that busy workers take less.",
    )


def _waiting(facts: Facts) -> Why | None:
    task = facts.task
    for found in (_behind(facts), _times(facts)):
        if found:
            return found
    if facts.unseen:
        return Why(
            "queues_unseen",
            f"Nothing can be said of its queue: {facts.unseen}.",
            "Start Herald with these options, or with -A.",
        )
    living = [one for one in facts.workers if one.state in (ONLINE, DRAINING)]
    if (silent := _taken_in_silence(facts)) is not None:
        return silent
    if not living and not facts.asked.answered:
        return Why(
            "no_worker",
            "No worker is running" + _last_seen(facts.workers) + ".",
            f"Start a worker for the queue {_queue(facts)!r}.",
        )
    asked = facts.asked
    decided = queue_consumers.decide_consumers(facts)
    if decided == queue_consumers.NOBODY:
        return Why(
            "no_worker_on_queue",
            queue_consumers.say_nobody(facts, decided),
            f"Start a worker with -Q {_queue(facts)}.",
        )
    if decided == queue_consumers.NOBODY_SAID_SO:
        return Why(
            "no_known_worker_on_queue",
            queue_consumers.say_nobody(facts, decided),
            f"If none of those does, start a worker with -Q {_queue(facts)}.",
        )
    if asked.known and not any(task.name in names for names in asked.known.values()):
        return Why(
            "not_registered",
            f"No worker that answered knows a task named {task.name}.",
            "Deploy workers that have it, or start it under its right name.",
        )
    if asked.trouble and not living:
        return Why("not_asked", f"Workers could not be asked: {asked.trouble}.")
    return None


def _taken_in_silence(facts: Facts) -> Why | None:
    """Return that only workers which say nothing may take from the task's queue.

    A worker of the solo pool tells even of a task that it took only when that ends.
    """
    seen = _measured(facts)
    answered = any(_queue(facts) in queues for queues in facts.asked.queues.values())
    if answered or seen is None or seen.consumers is not None:
        return None
    names = seen.silent_consumers
    silent = [one for one in facts.workers if one.hostname in names]
    if not silent:
        return None
    since = max(one.last_heartbeat_at or "" for one in silent)
    who = "a worker" if facts.narrow else _listed(names)
    return Why(
        "worker_silent",
        f"The queue {_queue(facts)!r} is consumed by {who}, which does not answer: "
        f"nothing was heard since {since}. It may be busy, and may have this task.",
        "Wait, or see whether that worker lives.",
    )


def _behind(facts: Facts) -> Why | None:
    if facts.blocked_by is not None:
        before = facts.blocked_by
        return Why(
            "predecessor_ended",
            f"It is a later step of a chain, and {before.id} before it ended as "
            f"{before.state.lower()}: it will never run.",
            "Start the rest of the chain anew.",
        )
    if facts.waits_for is not None:
        before = facts.waits_for
        return Why(
            "waits_for_predecessor",
            f"It is a later step of a chain: {before.id} before it is "
            f"{before.state.lower()}.",
        )
    return None


def _times(facts: Facts) -> Why | None:
    task = facts.task
    if task.expires and not _ahead(task.expires, facts.now):
        return Why(
            "expired",
            f"It had to start before {task.expires}; a worker will discard it when it "
            "meets it.",
            "Start it again if it is still needed.",
        )
    if _ahead(task.eta, facts.now):
        return Why("eta_ahead", f"It is not to start before {task.eta}.")
    return None


def _silent(facts: Facts) -> Why | None:
    """Return that the task's worker says nothing any more, if so."""
    worker = _worker_of(facts)
    if worker is None or worker.state in (ONLINE, DRAINING):
        return None
    return Why(
        "worker_silent",
        f"Its worker {worker.hostname} is {worker.state}: nothing was heard of it "
        f"since {worker.last_heartbeat_at}.",
        "See whether that worker lives. Herald says LOST once nobody knows the task.",
    )


def _silent_advice(facts: Facts) -> str:
    found = _silent(facts)
    return f"{found.message} {found.advice}" if found else ""


def _worker_of(facts: Facts) -> WorkerImage | None:
    named = facts.task.worker
    return next((one for one in facts.workers if one.hostname == named), None)


def _measured(facts: Facts) -> QueueImage | None:
    return queue_consumers.measured(facts)


def _queue(facts: Facts) -> str:
    return queue_consumers.queue_name(facts)


def _ahead(at: str | None, now: float) -> bool:
    return at is not None and unix(at) > now


def _last_seen(workers: Iterable[WorkerImage]) -> str:
    seen = max((w.last_heartbeat_at or "" for w in workers), default="")
    return f"; the last was heard of at {seen}" if seen else ", nor was any heard of"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"
