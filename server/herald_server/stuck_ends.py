"""Why a task is gone, over or lost, and what is known of another delivery. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.whereabouts import COMES_AGAIN, MAY_COME_AGAIN
from herald_monitor.model.workers import LIVING, OFFLINE, SILENT, WorkerImage
from herald_monitor.store import Gap
from herald_server.stuck_facts import GIVEN_OUT, QUEUED, Facts, Why

REDELIVERED = (
    "The broker delivers a message again that nobody confirmed: RabbitMQ at once, "
    "Redis after its visibility_timeout (an hour unless it is set)."
)


def explain_missing(facts: Facts) -> Why | None:
    """Return why nothing is stored of the task, if so."""
    task = facts.task
    if task.state == shape.EXPIRED:
        return Why(
            "record_ran_out",
            "What was known of it has run out: Herald keeps a task for some time after "
            "the last word of it.",
        )
    if task.state != shape.UNKNOWN:
        return None
    if facts.asked.held:
        host, how = next(iter(facts.asked.held.items()))
        return Why(
            "held_unheard",
            f"Herald heard no event of it, but worker {host} has it ({how}).",
            "Start the workers with -E, so that they tell of tasks; they never do so "
            "of those with send_events=False.",
        )
    if facts.message in (QUEUED, GIVEN_OUT):
        place = (
            "lies in a queue" if facts.message == QUEUED else "was given to a worker"
        )
        return Why(
            "queued_unheard",
            f"Herald heard no event of it, but its message {place}.",
            "Set task_send_sent_event, so that clients tell of what they send.",
        )
    return Why(
        "unknown",
        "Herald has never heard of this task id." + _say_missed(facts.gaps),
        "Check that the id is complete and exact.",
    )


def _say_missed(gaps: Sequence[Gap]) -> str:
    """Return when Herald missed events, so that it cannot know of each task."""
    if not gaps:
        return ""
    last = max(gaps, key=lambda gap: gap.until)
    others = len(gaps) - 1
    stretches = "stretch" if others == 1 else "stretches"
    more = f", and in {others} other {stretches} of the last week" if others else ""
    return (
        f" It missed events from {last.since} to {last.until} ({last.reason}){more}:"
        " of a task that ran then and left no result nothing is known."
    )


def explain_loss(facts: Facts) -> Why | None:
    """Return why the task is called lost, and what may still become of it."""
    task = facts.task
    if task.state != shape.LOST:
        return None
    reason = task.reason or "Herald found it nowhere, and did not keep where it looked"
    return Why("lost", f"It is lost: {reason}.", _advise_lost(facts, reason))


def _advise_lost(facts: Facts, reason: str) -> str:
    if facts.asked.held:
        return "A worker answers that it has it by now: Herald says so before long."
    if facts.message == QUEUED:
        return "Its message lies in a queue by now: wait for a worker that takes it."
    if COMES_AGAIN in reason or facts.message == GIVEN_OUT:
        return f"{REDELIVERED} Wait for that: what is started a second time runs twice."
    if MAY_COME_AGAIN in reason:
        return (
            "See whether its task has acks_late: then wait, it is delivered again. If "
            "it has not, retry_task sends it once more."
        )
    worker = worker_of(facts)
    if worker is not None and worker.state in LIVING:
        return (
            f"See the log of {worker.hostname}, which lives, for what became of it; "
            "retry_task sends it once more if it is still needed."
        )
    return "retry_task sends it once more if it is still needed."


def explain_outcome(facts: Facts) -> Why | None:
    """Return how the task ended, if it has."""
    task = facts.task
    if not task.final:
        return None
    return Why(
        "over",
        f"It is not stuck: it ended as {task.state.lower()} at {task.finished_at}.",
        _advise_over(facts),
    )


def explain_unheard_end(facts: Facts) -> Why | None:
    """Return that a task is over of whose end nobody tells, if so."""
    task = facts.task
    if not task.ended_unheard:
        return None
    return Why(
        "ended_unheard",
        f"{say_over(task)}: {task.reason}.",
        "See its worker's log, or what the task was to do, for how it ended. Start it "
        "again only if that does no harm. A result backend would tell its end.",
    )


def say_over(task: TaskImage) -> str:
    """Return what a task does no more that ended unheard."""
    does = "run" if task.state == shape.STARTED else "wait"
    return f"It does not {does} any more"


def _advise_over(facts: Facts) -> str:
    task = facts.task
    if task.state == shape.SUCCESS:
        return ""
    if (task.exception or "").startswith("NotRegistered"):
        return "Its worker knows no task of that name: deploy it there, then retry."
    return "retry_task starts it again."


def explain_chain(facts: Facts) -> Why | None:
    """Return what keeps a later step of a chain waiting, or from ever running."""
    if facts.blocked_by is not None:
        before = facts.blocked_by
        # Workers store REVOKED once they are told of a cancel, whoever gets the task.
        sure = before.state != shape.REVOKED or before.source == "event"
        unless = "" if sure else ", unless a worker runs that which knows of no cancel"
        return Why(
            "predecessor_ended",
            f"It is a later step of a chain, and {before.id} before it ended as "
            f"{before.state.lower()}: it will never run{unless}.",
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


def silent_worker(facts: Facts) -> Why | None:
    """Return that the task's worker says nothing any more, if so."""
    worker = worker_of(facts)
    if worker is None or worker.state not in (SILENT, OFFLINE):
        return None
    if worker.hostname in facts.asked.answered:
        return None
    more = _say_trouble(facts) + say_redelivery(facts)
    return Why(
        "worker_silent",
        f"Its worker {worker.hostname} is {worker.state}: nothing was heard of it "
        f"since {worker.last_heartbeat_at}.{more}",
        "See whether that worker lives. Herald says LOST once nobody knows the task.",
    )


def _say_trouble(facts: Facts) -> str:
    """Return that Herald itself cannot ask anybody, if so."""
    trouble = facts.asked.trouble
    return f" Herald cannot ask any worker: {trouble}." if trouble else ""


def say_redelivery(facts: Facts) -> str:
    """Return what is known of another delivery, as a sentence behind others."""
    if facts.message == GIVEN_OUT:
        return f" Its message is not confirmed. {REDELIVERED}"
    if facts.message == QUEUED:
        return " Its message lies in a queue again, for any worker to take."
    return ""


def worker_of(facts: Facts) -> WorkerImage | None:
    """Return the worker that has the task, if it was heard of."""
    named = facts.task.worker
    return next((one for one in facts.workers if one.hostname == named), None)
