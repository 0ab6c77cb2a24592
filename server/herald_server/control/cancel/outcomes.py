"""Decide the outcome of a cancel from worker replies and the task's state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView

TAKEN = "taken"
UNANSWERED = "unanswered"
REVOKED = "revoked"
TERMINATED = "terminated"
TOO_LATE = "too_late"
UNKNOWN = "unknown"
"""Outcomes of a cancel."""

MISSING_STATES = (views.UNKNOWN, views.EXPIRED)
HELD_STATES = (views.RECEIVED, views.STARTED)

NOTHING_KNOWN_MESSAGE = (
    "Herald knows nothing of this task, and neither does the result backend, a worker "
    "or a queue that can be asked; nothing was cancelled. Check that the id is "
    "complete and exact."
)


class CancelResult(msgspec.Struct, frozen=True):
    """Result of a cancel: the task's state now, and a message.

    `outcome` is `revoked` (before it started), `terminated` (while it ran), `too_late`,
    `taken` (workers acknowledged, the task has not ended yet), `unanswered` (stored,
    and sent to workers that join) or `unknown` (nothing was sent).
    """

    task_id: str
    state: str
    message: str
    canceled_at: str | None = None
    outcome: str = UNKNOWN


class RevokeAnswers(msgspec.Struct, frozen=True):
    """Replies of workers to a cancel.

    `confirmed` maps a task to the worker that had it and stops it, `errors` a worker to
    why it could not stop what it runs. `unsent` is why nothing could be sent.
    """

    answered: frozenset[str] = frozenset()
    confirmed: Mapping[str, str] = {}
    errors: Mapping[str, str] = {}
    unsent: str = ""


def parse_revoke_answers(
    answers: Mapping[str, object], ids: Iterable[str]
) -> RevokeAnswers:
    """Return the parsed replies to `revoke` with `terminate`.

    A worker lists the tasks that it had (`terminate: ID, ID`), or returns an error.
    """
    wanted = set(ids)
    confirmed: dict[str, str] = {}
    errors: dict[str, str] = {}
    for host, answer in answers.items():
        if not isinstance(answer, Mapping):
            continue
        fields = cast("Mapping[object, object]", answer)
        named = str(fields.get("ok") or "").removeprefix("terminate: ").split(", ")
        confirmed |= dict.fromkeys(wanted.intersection(named), host)
        if fields.get("error"):
            errors[host] = str(fields["error"]).partition("\n")[0][:200]
    return RevokeAnswers(frozenset(answers), confirmed, errors)


def make_unknown_result(task: TaskView) -> CancelResult:
    """Return the result for an unknown task: nothing was sent.

    A task-scoped token gets it too for a task outside its filter.
    """
    if task.state == views.EXPIRED:
        message = "What was known of this task has run out; nothing was cancelled."
        return CancelResult(task.id, task.state, message)
    return CancelResult(task.id, views.UNKNOWN, NOTHING_KNOWN_MESSAGE)


def make_too_late_result(task: TaskView) -> CancelResult:
    """Return the result for a task that had ended before the cancel."""
    return CancelResult(
        task.id,
        task.state,
        f"Too late: the task is {task.state.lower()} already, nothing was cancelled.",
        outcome=TOO_LATE,
    )


def decide_outcome(
    before: TaskView, after: TaskView | None, answers: RevokeAnswers
) -> CancelResult:
    """Return the result of a cancel, from the task before and after it."""
    if before.state in MISSING_STATES:
        return make_unknown_result(before)
    if before.final:
        return make_too_late_result(before)
    after = after or before
    if after.state == views.REVOKED:
        ran = bool(before.started_at or after.started_at)
        how = "terminated while it ran" if ran else "revoked before it started"
        outcome = TERMINATED if ran else REVOKED
        at = after.finished_at or after.as_of
        return CancelResult(after.id, after.state, f"Cancelled: {how}.", at, outcome)
    if after.final:
        ended = f"Too late: it ended as {after.state.lower()} meanwhile."
        return CancelResult(after.id, after.state, ended, outcome=TOO_LATE)
    outcome, message = _decide_unfinished(after, answers)
    return CancelResult(after.id, after.state, message, outcome=outcome)


def _decide_unfinished(task: TaskView, answers: RevokeAnswers) -> tuple[str, str]:
    """Return outcome and message for a task that has not ended yet."""
    still = f"the task is still {task.state.lower()}"
    if answers.unsent:
        message = (
            f"Cancel is not sent yet: {answers.unsent}. It is kept, and workers are "
        )
        return UNANSWERED, f"{message}told once they can be reached; {still}."
    if task.id in answers.confirmed:
        message = (
            f"Cancel was sent, and worker {answers.confirmed[task.id]} confirmed that "
        )
        return TAKEN, f"{message}it stops the task, but {still}."
    holder = task.worker if task.state in HELD_STATES else None
    if holder is not None and holder in answers.errors:
        message = f"Cancel was sent, but worker {holder} cannot stop what it runs "
        more = "No pool but prefork, gevent and eventlet stops a running task."
        return TAKEN, f"{message}({answers.errors[holder]}); {still}. {more}"
    if holder and answers.answered and holder not in answers.answered:
        message = f"Cancel was sent, but worker {holder}, which has the task, has not "
        more = "A solo worker hears it only after the task that it runs."
        return UNANSWERED, f"{message}answered; {still}. It is kept. {more}"
    if answers.answered:
        return TAKEN, _describe_taken(len(answers.answered), still)
    return UNANSWERED, (
        f"Cancel was sent, but no worker has confirmed it yet; {still}. It is kept, "
        "and applied as soon as a worker answers that joins."
    )


def _describe_taken(answered: int, still: str) -> str:
    return (
        f"Cancel was sent, and {answered} worker{'s' if answered > 1 else ''} took "
        f"note, but {still}. A waiting task is revoked when its turn comes."
    )
