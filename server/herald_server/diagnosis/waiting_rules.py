"""Diagnose tasks that no worker has received, or that none will run. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from herald_core.model.tasks import views
from herald_core.model.workers.worker import LIVING_STATES
from herald_server.diagnosis import queue_consumers
from herald_server.diagnosis.facts import HANDED_OUT, NOWHERE, Diagnosis, TaskFacts
from herald_server.diagnosis.held_rules import describe_redelivery, is_gone
from herald_server.insight import queues


def explain_cancelled(facts: TaskFacts) -> Diagnosis | None:
    """Return that the task was cancelled, if so."""
    if facts.answers.revoked:
        hosts = "a worker" if facts.narrow else _join_words(facts.answers.revoked)
        return Diagnosis(
            "revoked",
            f"It was cancelled: {hosts} will discard it when its turn comes there.",
        )
    if facts.cancel_at and not facts.task.started_at:
        return Diagnosis(
            "cancel_pending",
            f"A cancel was asked for at {facts.cancel_at}; no worker has said yet that "
            "it discarded the task. It is repeated to workers that join.",
        )
    return None


def explain_expired(facts: TaskFacts) -> Diagnosis | None:
    """Return that the time until which the task had to start is over, if so."""
    task = facts.task
    if not task.expires or facts.is_ahead(task.expires):
        return None
    held = task.state == views.RECEIVED and not is_gone(facts)
    who = f"worker {task.worker}, which has received it," if held else "a worker"
    return Diagnosis(
        "expired",
        f"It had to start before {task.expires}; {who} will discard it when its turn "
        "comes.",
        "Start it again if it is still needed.",
    )


def explain_chain(facts: TaskFacts) -> Diagnosis | None:
    """Return why a later step of a chain waits, or can never run."""
    if facts.blocked_by is not None:
        before = facts.blocked_by
        # Workers store REVOKED when they learn of a cancel, whichever gets the task.
        sure = before.state != views.REVOKED or before.source == "event"
        unless = "" if sure else ", unless a worker runs that which knows of no cancel"
        return Diagnosis(
            "predecessor_ended",
            f"It is a later step of a chain, and {before.id} before it ended as "
            f"{before.state.lower()}: it will never run{unless}.",
            "Start the rest of the chain again.",
        )
    if facts.waits_for is not None:
        before = facts.waits_for
        return Diagnosis(
            "waits_for_predecessor",
            f"It is a later step of a chain: {before.id} before it is "
            f"{before.state.lower()}.",
        )
    return None


def explain_eta(facts: TaskFacts) -> Diagnosis | None:
    """Return that the time of the task has not come, if so."""
    if not facts.is_ahead(facts.task.eta):
        return None
    return Diagnosis("eta_ahead", f"It is not to start before {facts.task.eta}.")


def explain_blindness(facts: TaskFacts) -> Diagnosis | None:
    """Return why Herald sees no queues, or gets no answers of workers, if so."""
    if facts.lookup_problem:
        return Diagnosis(
            "queues_unseen",
            f"Nothing can be said of its queue: {facts.lookup_problem}.",
            "Start Herald with these options, or with -A.",
        )
    if not facts.answers.can_be_asked:
        living = any(one.state in LIVING_STATES for one in facts.workers)
        return _explain_unaskable(facts.answers.problem) if living else None
    if facts.answers.problem:
        return Diagnosis(
            "not_asked",
            f"Nothing can be said of where it waits: {facts.answers.problem}.",
            "See whether the broker is reachable from Herald: herald doctor.",
        )
    return None


def _explain_unaskable(problem: str) -> Diagnosis:
    return Diagnosis(
        "not_asked",
        f"No worker can be asked where it waits: {problem}.",
        "See whether its queue grows, and what the workers run: herald queues.",
    )


def explain_paused(facts: TaskFacts) -> Diagnosis | None:
    """Return that the task's queue is paused, if so and no worker consumes it."""
    queue = facts.queue
    consumed = any(facts.queue_name in q for q in facts.answers.queues.values())
    if queue is None or queue.paused is None or consumed:
        return None
    by = "" if facts.narrow else f" by {queue.paused.who}"
    return Diagnosis(
        "queue_paused",
        f"The queue {facts.queue_name!r} is paused{by} since {queue.paused.since}: no "
        "worker takes tasks from it until it is resumed.",
        f"Resume it: herald queue resume {facts.queue_name}",
    )


def explain_silent_consumers(facts: TaskFacts) -> Diagnosis | None:
    """Return that only workers that do not answer may consume the task's queue.

    A worker of the solo pool sends even `task-received` only when the task ends.
    """
    queue, answers = facts.queue, facts.answers.queues.values()
    if any(facts.queue_name in queues for queues in answers):
        return None
    if queue is None or queue.consumers is not None:
        return None
    names = queue.silent_consumers
    silent = [one for one in facts.workers if one.hostname in names]
    if not silent:
        return None
    since = max(one.last_heartbeat_at or "" for one in silent)
    who = "a worker" if facts.narrow else _join_words(names)
    return Diagnosis(
        "worker_silent",
        f"The queue {facts.queue_name!r} is consumed by {who}, which does not answer: "
        f"nothing was heard since {since}. It may be busy, and may have this task.",
        "Wait, or see whether that worker lives.",
    )


def explain_unconsumed(facts: TaskFacts) -> Diagnosis | None:
    """Return that no worker consumes the task's queue, if so."""
    living = any(one.state in LIVING_STATES for one in facts.workers)
    decided = queue_consumers.decide_consumers(facts)
    if decided == queue_consumers.CONSUMED:
        return None
    if not living and not facts.answers.answered:
        given_out = describe_redelivery(facts) if facts.message == HANDED_OUT else ""
        return Diagnosis(
            "no_worker",
            f"No worker is running{_describe_last_seen(facts)}.{given_out}",
            f"Start a worker for the queue {facts.queue_name!r}.",
        )
    if decided == queue_consumers.UNKNOWN:
        return None
    message = queue_consumers.describe_unconsumed(facts, decided)
    if decided == queue_consumers.UNCONSUMED:
        advice = f"Start a worker with -Q {facts.queue_name}."
        return Diagnosis("no_worker_on_queue", message, advice)
    advice = f"If none of those does, start a worker with -Q {facts.queue_name}."
    return Diagnosis("no_known_worker_on_queue", message, advice)


def explain_discarded(facts: TaskFacts) -> Diagnosis | None:
    """Return that no queue has the task's message, or that no worker knows its name."""
    if facts.message == NOWHERE:
        return _explain_nowhere(facts)
    registered = facts.answers.known.values()
    if not registered or any(facts.task.name in names for names in registered):
        return None
    return Diagnosis(
        "not_registered",
        f"No worker that answered knows a task named {facts.task.name}.",
        "Deploy workers that have it, or start it under its right name.",
    )


def _explain_nowhere(facts: TaskFacts) -> Diagnosis:
    return Diagnosis(
        "nowhere",
        f"Its message lies in no queue that Herald can see, {facts.queue_name!r} "
        "included, and no worker that answered has it.",
        "See the workers' logs: a worker throws a message away that it cannot read "
        "(accept_content), or that is not addressed to it. Herald says LOST once it "
        "has stayed away.",
    )


def explain_queued(facts: TaskFacts) -> Diagnosis:
    """Return that the task waits in its queue, or was given to a worker."""
    if facts.message == HANDED_OUT:
        return Diagnosis(
            "given_out",
            "The broker gave its message to a worker that has not confirmed it, and no "
            f"event of that was heard.{describe_redelivery(facts)}",
            f"Wait, and see the logs of the workers that consume {facts.queue_name!r}.",
        )
    return Diagnosis(
        "in_queue",
        f"It waits in the queue {facts.queue_name!r}"
        f"{queues.describe_position(facts.queue)}; "
        f"{queue_consumers.describe_consumers(facts)}.",
        "Wait, or add workers if the queue does not get shorter.",
    )


def _describe_last_seen(facts: TaskFacts) -> str:
    seen = max((w.last_heartbeat_at or "" for w in facts.workers), default="")
    return f"; the last was heard of at {seen}" if seen else ", nor was any heard of"


def _join_words(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"
