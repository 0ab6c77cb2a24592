"""Diagnose tasks that a worker has, or should have. Pure."""

from __future__ import annotations

from herald_core.model.tasks import views
from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers.worker import OFFLINE, SILENT
from herald_server.diagnosis.facts import HANDED_OUT, IN_QUEUE, Diagnosis, TaskFacts
from herald_server.insight.duration_text import humanize

REDELIVERY_MESSAGE = (
    "The broker redelivers an unacknowledged message: RabbitMQ at once, "
    "Redis after its visibility_timeout (an hour unless it is set)."
)


def explain_running(facts: TaskFacts) -> Diagnosis | None:
    """Return for how long the task has run, or that its worker does not run it."""
    if facts.task.state != views.STARTED:
        return None
    return explain_silent_worker(facts) or (
        _explain_dropped_run(facts) if is_dropped(facts) else _explain_runtime(facts)
    )


def _explain_dropped_run(facts: TaskFacts) -> Diagnosis:
    task = facts.task
    return Diagnosis(
        "not_held",
        f"Worker {task.worker}, which started it{_format_time(task.started_at)}, "
        "answers that it does not have it any more; no end of it was heard.",
        "See the worker's log: it may have ended without a result, or while Herald "
        "heard nothing. Start it again only if that does no harm.",
    )


def _explain_runtime(facts: TaskFacts) -> Diagnosis:
    task, usual = facts.task, facts.measured
    spent = facts.now - from_rfc3339(task.started_at) if task.started_at else None
    since = f" for {humanize(spent)}" if spent is not None else ""
    place = f" on {task.worker}" if task.worker else ""
    if usual is None:
        return Diagnosis("runs", f"It has run{since}{place}.")
    message = f"It has run{since}{place}; such tasks take {usual.description}."
    if spent is None or spent <= usual.p99:
        return Diagnosis("runs", message)
    return Diagnosis(
        "runs_long",
        message,
        "It takes longer than 99 % of its kind: see what its worker does.",
    )


def explain_running_unknown(facts: TaskFacts) -> Diagnosis | None:
    """Return that a worker runs it although there was no event, if so."""
    host = _find_holder(facts)
    if host is None or facts.answers.held[host] != "active":
        return None
    return Diagnosis("runs", f"Worker {host} answers that it runs it.")


def explain_retrying(facts: TaskFacts) -> Diagnosis | None:
    """Return why and until when the task waits for its next attempt."""
    task = facts.task
    if task.state != views.RETRY:
        return None
    until = f" until {task.eta}" if facts.is_ahead(task.eta) else ""
    # A task that waits for a retry has the number of its next attempt.
    number = (task.attempt or 1) - (0 if task.started_at or task.attempt == 1 else 1)
    failed = task.exception not in (None, "", "None")
    how = f"failed with {task.exception}" if failed else "asked to be run again"
    return Diagnosis(
        "waits_for_retry",
        f"Attempt {number} {how}; it waits{until} for the next.",
        _describe_silence(facts),
    )


def explain_received(facts: TaskFacts) -> Diagnosis | None:
    """Return why a received task does not run."""
    task = facts.task
    if task.state != views.RECEIVED:
        return None
    if facts.is_ahead(task.eta):
        message = f"It is not to start before {task.eta}."
        return Diagnosis("eta_ahead", message, _describe_silence(facts))
    if not facts.answers.held:
        explained = explain_silent_worker(facts) or _explain_rate_limit(facts)
        if explained is not None:
            return explained
    if is_dropped(facts):
        return Diagnosis(
            "not_held",
            f"Worker {task.worker}, which received it{_format_time(task.received_at)}, "
            f"answers that it does not have it any more.{describe_redelivery(facts)}",
            "See the worker's log. Herald reports LOST once no worker knows the task.",
        )
    return _explain_prefetched(facts, _find_holder(facts) or task.worker or "")


def _explain_rate_limit(facts: TaskFacts) -> Diagnosis | None:
    """Return that a rate limit may keep the task back.

    A worker does not name what its rate limits keep back (celery/worker/consumer/
    consumer.py: limit_task).
    """
    task = facts.task
    rate = facts.answers.known.get(task.worker or "", {}).get(task.name or "")
    if not rate or _is_restarted(facts):
        return None
    return Diagnosis(
        "rate_limited",
        f"Worker {task.worker} says that it runs at most {rate} of {task.name}; "
        "it has received this one.",
        "Raise the rate limit, or add workers.",
    )


def explain_held_unknown(facts: TaskFacts) -> Diagnosis | None:
    """Return that a worker has it although there was no event, if so."""
    host = _find_holder(facts)
    if host is None:
        return None
    if facts.answers.held[host] == "scheduled" and facts.task.eta:
        return Diagnosis("eta_ahead", f"It is not to start before {facts.task.eta}.")
    return _explain_prefetched(facts, host)


def _explain_prefetched(facts: TaskFacts, host: str) -> Diagnosis:
    worker = facts.find_worker(host)
    active = worker.active if worker is not None else None
    runs = f"; it runs {active} now" if active else ""
    return Diagnosis(
        "prefetched",
        f"Worker {host} has received it and has not started it{runs}; no other "
        "worker can take it.",
        "Wait, or lower worker_prefetch_multiplier so that busy workers take less.",
    )


def explain_silent_worker(facts: TaskFacts) -> Diagnosis | None:
    """Return that the task's worker is silent, if so."""
    worker = facts.worker
    if worker is None or worker.state not in (SILENT, OFFLINE):
        return None
    if worker.hostname in facts.answers.answered:
        return None
    more = _describe_query_problem(facts) + describe_redelivery(facts)
    return Diagnosis(
        "worker_silent",
        f"Its worker {worker.hostname} is {worker.state}: nothing was heard of it "
        f"since {worker.last_heartbeat_at}.{more}",
        "See whether that worker lives. Herald reports LOST once no worker knows the "
        "task.",
    )


def _describe_query_problem(facts: TaskFacts) -> str:
    """Return a sentence that Herald cannot query any worker; empty if it can."""
    problem = facts.answers.problem
    return f" Herald cannot ask any worker: {problem}." if problem else ""


def describe_redelivery(facts: TaskFacts) -> str:
    """Return a sentence about a redelivery; empty if nothing is known of one."""
    if facts.message == HANDED_OUT:
        return f" Its message is not confirmed. {REDELIVERY_MESSAGE}"
    if facts.message == IN_QUEUE:
        return " Its message lies in a queue again, for any worker to take."
    return ""


def _find_holder(facts: TaskFacts) -> str | None:
    """Return the worker that reports to have the task, preferably the task's own.

    If it was delivered twice, two may have it: then the one that runs it.
    """
    held, own = facts.answers.held, facts.task.worker or ""
    order = ("active", "reserved", "scheduled")
    return min(
        held,
        key=lambda host: (order.index(held[host]), host != own, host),
        default=None,
    )


def _is_restarted(facts: TaskFacts) -> bool:
    """Return True if the worker that received the task was restarted since."""
    worker = facts.worker
    return worker is not None and worker.is_started_after(facts.task.received_at)


def is_dropped(facts: TaskFacts) -> bool:
    """Return True if the task's worker answered, and no worker has the task."""
    worker = facts.worker
    if worker is not None and (worker.shared or (worker.processes or 1) > 1):
        return False
    return facts.task.worker in facts.answers.searched and not facts.answers.held


def is_gone(facts: TaskFacts) -> bool:
    """Return True if the task's worker is silent, or does not have it any more."""
    return explain_silent_worker(facts) is not None or is_dropped(facts)


def _describe_silence(facts: TaskFacts) -> str:
    """Return a sentence that the task's worker is silent; empty if it is not."""
    silent = explain_silent_worker(facts)
    return f"{silent.message} {silent.advice}" if silent else ""


def _format_time(moment: str | None) -> str:
    """Return " at TIME"; empty if the time is not known."""
    return f" at {moment}" if moment else ""
