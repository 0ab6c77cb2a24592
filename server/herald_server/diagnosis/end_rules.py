"""Diagnose tasks that are missing, ended or lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.gaps import Gap
from herald_core.model.loss.loss_reasons import COMES_AGAIN, MAY_COME_AGAIN
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import LIVING_STATES
from herald_server.diagnosis.facts import HANDED_OUT, IN_QUEUE, Diagnosis, TaskFacts
from herald_server.diagnosis.held_rules import REDELIVERY_MESSAGE


def explain_missing(facts: TaskFacts) -> Diagnosis | None:
    """Return why the task has no record, if so."""
    task = facts.task
    if task.state == views.EXPIRED:
        return Diagnosis(
            "record_ran_out",
            "What was known of it has run out: Herald keeps a task for some time after "
            "the last word of it.",
        )
    if task.state != views.UNKNOWN:
        return None
    return _explain_unreported(facts) or Diagnosis(
        "unknown",
        "Herald has never heard of this task id." + _describe_gaps(facts.gaps),
        "Check that the id is complete and exact.",
    )


def _explain_unreported(facts: TaskFacts) -> Diagnosis | None:
    """Return where a task is of which no event came, if it is somewhere."""
    if facts.answers.held:
        host, how = next(iter(facts.answers.held.items()))
        return Diagnosis(
            "held_unheard",
            f"Herald heard no event of it, but worker {host} has it ({how}).",
            "Start the workers with -I herald_worker.auto, so that they tell of tasks; "
            "they never do so of those with send_events=False.",
        )
    if facts.message not in (IN_QUEUE, HANDED_OUT):
        return None
    place = "lies in a queue" if facts.message == IN_QUEUE else "was given to a worker"
    return Diagnosis(
        "queued_unheard",
        f"Herald heard no event of it, but its message {place}.",
        "Set task_send_sent_event, so that clients tell of what they send.",
    )


def _describe_gaps(gaps: Sequence[Gap]) -> str:
    """Return a sentence about gaps, in which tasks may have been missed."""
    if not gaps:
        return ""
    last = max(gaps, key=lambda gap: gap.until)
    others = len(gaps) - 1
    stretches = "stretch" if others == 1 else "stretches"
    more = f", and in {others} other {stretches} of the last week" if others else ""
    unknown = "Of a task that ran then and left no result nothing is known."
    return (
        f" It missed events from {last.since} to {last.until} ({last.reason}){more}."
        f" {last.unrepaired or unknown}"
    )


def explain_loss(facts: TaskFacts) -> Diagnosis | None:
    """Return why the task is LOST, and what may still happen to it."""
    task = facts.task
    if task.state != views.LOST:
        return None
    reason = task.reason or "Herald found it nowhere, and did not keep where it looked"
    return Diagnosis("lost", f"It is lost: {reason}.", _advise_lost(facts, reason))


def _advise_lost(facts: TaskFacts, reason: str) -> str:
    if facts.answers.held:
        return "A worker answers that it has it by now: Herald says so before long."
    if facts.message == IN_QUEUE:
        return "Its message lies in a queue by now: wait for a worker that takes it."
    if COMES_AGAIN in reason or facts.message == HANDED_OUT:
        return (
            f"{REDELIVERY_MESSAGE} Wait for that: "
            "what is started a second time runs twice."
        )
    if MAY_COME_AGAIN in reason:
        return (
            "See whether its task has acks_late: then wait, it is delivered again. If "
            "it has not, retry_task sends it once more."
        )
    worker = facts.worker
    if worker is not None and worker.state in LIVING_STATES:
        return (
            f"See the log of {worker.hostname}, which lives, for what became of it; "
            "retry_task sends it once more if it is still needed."
        )
    return "retry_task sends it once more if it is still needed."


def explain_outcome(facts: TaskFacts) -> Diagnosis | None:
    """Return how the task ended, if it has."""
    task = facts.task
    if not task.final:
        return None
    return Diagnosis(
        "over",
        f"It is not stuck: it ended as {task.state.lower()} at {task.finished_at}.",
        _advise_over(facts),
    )


def explain_unknown_end(facts: TaskFacts) -> Diagnosis | None:
    """Return that a task has ended without an event, if so."""
    task = facts.task
    if not task.has_unknown_outcome:
        return None
    return Diagnosis(
        "ended_unheard",
        f"{describe_over(task)}: {task.reason}.",
        "See its worker's log, or what the task was to do, for how it ended. Start it "
        "again only if that does no harm. A result backend would tell its end.",
    )


def describe_over(task: TaskView) -> str:
    """Return what a task that ended without an event does not do any more."""
    does = "run" if task.state == views.STARTED else "wait"
    return f"It does not {does} any more"


def _advise_over(facts: TaskFacts) -> str:
    task = facts.task
    if task.state == views.SUCCESS:
        return ""
    if (task.exception or "").startswith("NotRegistered"):
        return "Its worker knows no task of that name: deploy it there, then retry."
    return "retry_task starts it again."
