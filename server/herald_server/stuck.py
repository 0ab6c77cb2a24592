"""Why a task does not get on: a decision about what is known. Pure.

Each sentence names what it rests on: an event, an answer of workers, a count of the
broker, a look into a queue. Where that fact is missing, the sentence is not said.
"""

from __future__ import annotations

from collections.abc import Iterable

from herald_monitor.model import shape
from herald_monitor.model.shape import unix
from herald_monitor.model.workers import LIVING
from herald_server import queue_consumers, queues
from herald_server.durations import spoken
from herald_server.stuck_ends import (
    explain_chain,
    explain_loss,
    explain_missing,
    explain_outcome,
    explain_unheard_end,
    say_redelivery,
    silent_worker,
    worker_of,
)
from herald_server.stuck_facts import GIVEN_OUT, NOWHERE, Facts, Why

__all__ = ["Why", "why"]


def why(facts: Facts) -> Why:
    """Return why the task is where it is; the first finding that explains it."""
    looks = (
        explain_missing,
        explain_loss,
        explain_outcome,
        explain_unheard_end,
        _running,
        _running_unheard,
        _cancelled,
        _expired,
        _retrying,
        _received,
        _held_unheard,
        _waiting,
    )
    for look in looks:
        found = look(facts)
        if found is not None:
            return found
    return _in_queue(facts)


def _running(facts: Facts) -> Why | None:
    task = facts.task
    if task.state != shape.STARTED:
        return None
    silent = silent_worker(facts)
    if silent:
        return silent
    if _has_it_no_more(facts):
        return Why(
            "not_held",
            f"Worker {task.worker}, which started it{_at(task.started_at)}, answers "
            "that it does not have it any more; no end of it was heard.",
            "See the worker's log: it may have ended without a result, or while Herald "
            "heard nothing. Start it again only if that does no harm.",
        )
    spent = facts.now - unix(task.started_at) if task.started_at else None
    since = f" for {spoken(spent)}" if spent is not None else ""
    place = f" on {task.worker}" if task.worker else ""
    if facts.measured is None:
        return Why("runs", f"It has run{since}{place}.")
    said = f"It has run{since}{place}; such tasks take {facts.measured.said}."
    if spent is None or spent <= facts.measured.p99:
        return Why("runs", said)
    return Why(
        "runs_long",
        said,
        "It takes longer than 99 % of its kind: see what its worker does.",
    )


def _running_unheard(facts: Facts) -> Why | None:
    """Return that a worker runs it, of which no event was heard, if so."""
    host = _holder(facts)
    if host is None or facts.asked.held[host] != "active":
        return None
    return Why("runs", f"Worker {host} answers that it runs it.")


def _cancelled(facts: Facts) -> Why | None:
    if facts.asked.revoked:
        hosts = "a worker" if facts.narrow else _listed(facts.asked.revoked)
        return Why(
            "revoked",
            f"It was cancelled: {hosts} will discard it when its turn comes there.",
        )
    if facts.cancel_at and not facts.task.started_at:
        return Why(
            "cancel_pending",
            f"A cancel was asked for at {facts.cancel_at}; no worker has said yet that "
            "it discarded the task. It is repeated to workers that join.",
        )
    return None


def _expired(facts: Facts) -> Why | None:
    task = facts.task
    if not task.expires or _ahead(task.expires, facts.now):
        return None
    held = task.state == shape.RECEIVED and not _is_gone(facts)
    who = f"worker {task.worker}, which has received it," if held else "a worker"
    return Why(
        "expired",
        f"It had to start before {task.expires}; {who} will discard it when its turn "
        "comes.",
        "Start it again if it is still needed.",
    )


def _retrying(facts: Facts) -> Why | None:
    task = facts.task
    if task.state != shape.RETRY:
        return None
    until = f" until {task.eta}" if _ahead(task.eta, facts.now) else ""
    # What waits is numbered as the attempt that it will be, once it was sent again.
    number = (task.attempt or 1) - (0 if task.started_at or task.attempt == 1 else 1)
    told = task.exception if task.exception not in (None, "", "None") else None
    how = f"failed with {told}" if told else "asked to be run again"
    return Why(
        "waits_for_retry",
        f"Attempt {number} {how}; it waits{until} for the next.",
        _add_silence(facts),
    )


def _received(facts: Facts) -> Why | None:
    task, asked = facts.task, facts.asked
    if task.state != shape.RECEIVED:
        return None
    if _ahead(task.eta, facts.now):
        said = f"It is not to start before {task.eta}."
        return Why("eta_ahead", said, _add_silence(facts))
    silent = silent_worker(facts)
    if silent and not asked.held:
        return silent
    # A worker does not name what its rate limits keep back (celery/worker/consumer/
    # consumer.py: limit_task).
    rate = asked.known.get(task.worker or "", {}).get(task.name or "")
    if rate and not asked.held and not _was_restarted(facts):
        return Why(
            "rate_limited",
            f"Worker {task.worker} says that it runs at most {rate} of {task.name}; "
            "it has received this one.",
            "Raise the rate limit, or add workers.",
        )
    if _has_it_no_more(facts):
        return Why(
            "not_held",
            f"Worker {task.worker}, which received it{_at(task.received_at)}, answers "
            f"that it does not have it any more.{say_redelivery(facts)}",
            "See the worker's log. Herald says LOST once nobody knows the task.",
        )
    return _prefetched(facts, _holder(facts) or task.worker or "")


def _held_unheard(facts: Facts) -> Why | None:
    """Return that a worker has it, of which no event was heard, if so."""
    host = _holder(facts)
    if host is None:
        return None
    if facts.asked.held[host] == "scheduled" and facts.task.eta:
        return Why("eta_ahead", f"It is not to start before {facts.task.eta}.")
    return _prefetched(facts, host)


def _holder(facts: Facts) -> str | None:
    """Return the worker that answers that it has the task: the task's own, if it does.

    Two may have it, if the broker delivered it again: then the one that runs it.
    """
    held, own = facts.asked.held, facts.task.worker or ""
    order = ("active", "reserved", "scheduled")
    found = sorted(held, key=lambda host: (order.index(held[host]), host != own, host))
    return found[0] if found else None


def _was_restarted(facts: Facts) -> bool:
    """Return True if the worker that received the task was started anew since."""
    worker = worker_of(facts)
    return worker is not None and worker.was_started_after(facts.task.received_at)


def _has_it_no_more(facts: Facts) -> bool:
    """Return True if the worker that had the task answered, and nobody has it."""
    worker = worker_of(facts)
    alone = worker is None or not (worker.shared or (worker.processes or 1) > 1)
    return alone and facts.task.worker in facts.asked.searched and not facts.asked.held


def _prefetched(facts: Facts, host: str) -> Why:
    worker = next((one for one in facts.workers if one.hostname == host), None)
    active = worker.active if worker is not None else None
    runs = f"; it runs {active} now" if active else ""
    return Why(
        "prefetched",
        f"Worker {host} has received it and has not started it{runs}; no other "
        "worker can take it.",
        "Wait, or lower worker_prefetch_multiplier so that busy workers take less.",
    )


def _waiting(facts: Facts) -> Why | None:
    task, asked = facts.task, facts.asked
    before = explain_chain(facts)
    if before:
        return before
    if _ahead(task.eta, facts.now):
        return Why("eta_ahead", f"It is not to start before {task.eta}.")
    if facts.unseen:
        return Why(
            "queues_unseen",
            f"Nothing can be said of its queue: {facts.unseen}.",
            "Start Herald with these options, or with -A.",
        )
    if asked.trouble:
        return Why(
            "not_asked",
            f"Nothing can be said of where it waits: {asked.trouble}.",
            "See whether the broker is reachable from Herald: herald doctor.",
        )
    living = [one for one in facts.workers if one.state in LIVING]
    if (silent := _taken_in_silence(facts)) is not None:
        return silent
    decided = queue_consumers.decide_consumers(facts)
    if not living and not asked.answered and decided != queue_consumers.TAKEN:
        return Why(
            "no_worker",
            f"No worker is running{_last_seen(facts)}.{_add_given_out(facts)}",
            f"Start a worker for the queue {_queue(facts)!r}.",
        )
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
    if facts.message == NOWHERE:
        return _nowhere(facts)
    if asked.known and not any(task.name in names for names in asked.known.values()):
        return Why(
            "not_registered",
            f"No worker that answered knows a task named {task.name}.",
            "Deploy workers that have it, or start it under its right name.",
        )
    return None


def _taken_in_silence(facts: Facts) -> Why | None:
    """Return that only workers which say nothing may take from the task's queue.

    A worker of the solo pool tells even of a task that it took only when that ends.
    """
    seen = queue_consumers.measured(facts)
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


def _nowhere(facts: Facts) -> Why:
    return Why(
        "nowhere",
        f"Its message lies in no queue that Herald can see, {_queue(facts)!r} "
        "included, and no worker that answered has it.",
        "See the workers' logs: a worker throws a message away that it cannot read "
        "(accept_content), or that is not addressed to it. Herald says LOST once it "
        "has stayed away.",
    )


def _in_queue(facts: Facts) -> Why:
    if facts.message == GIVEN_OUT:
        return Why(
            "given_out",
            "The broker gave its message to a worker that has not confirmed it, and no "
            f"event of that was heard.{say_redelivery(facts)}",
            f"Wait, and see the logs of the workers that consume {_queue(facts)!r}.",
        )
    return Why(
        "in_queue",
        f"It waits in the queue {_queue(facts)!r}"
        f"{queues.behind(queue_consumers.measured(facts))}; "
        f"{queue_consumers.say_taken(facts)}.",
        "Wait, or add workers if the queue does not get shorter.",
    )


def _queue(facts: Facts) -> str:
    return queue_consumers.queue_name(facts)


def _at(moment: str | None) -> str:
    """Return when something was, if that is known: who answers tells no time."""
    return f" at {moment}" if moment else ""


def _ahead(at: str | None, now: float) -> bool:
    return at is not None and unix(at) > now


def _last_seen(facts: Facts) -> str:
    seen = max((w.last_heartbeat_at or "" for w in facts.workers), default="")
    return f"; the last was heard of at {seen}" if seen else ", nor was any heard of"


def _is_gone(facts: Facts) -> bool:
    """Return True if the worker that has the task is silent, or has it no more."""
    return silent_worker(facts) is not None or _has_it_no_more(facts)


def _add_silence(facts: Facts) -> str:
    """Return, behind a reason, that the task's worker says nothing any more, if so."""
    silent = silent_worker(facts)
    return f"{silent.message} {silent.advice}" if silent else ""


def _add_given_out(facts: Facts) -> str:
    return say_redelivery(facts) if facts.message == GIVEN_OUT else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"
