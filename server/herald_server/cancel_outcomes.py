"""What a cancel came to, by what workers answered and what became of the task. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage

TAKEN = "taken"
UNANSWERED = "unanswered"
REVOKED = "revoked"
TERMINATED = "terminated"
TOO_LATE = "too_late"
UNKNOWN = "unknown"
"""What a cancel may come to."""

MISSING = (shape.UNKNOWN, shape.EXPIRED)
HELD = (shape.RECEIVED, shape.STARTED)

NOTHING_KNOWN = (
    "Herald knows nothing of this task, and neither does the result backend, a worker "
    "or a queue that can be asked; nothing was cancelled. Check that the id is "
    "complete and exact."
)


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancel came to: the task's state now, and a sentence.

    `outcome` is `revoked` (before it started), `terminated` (while it ran),
    `too_late`, `taken` (workers took note, the task has not ended yet),
    `unanswered` (kept, and told to workers that join) or `unknown` (nothing was sent).
    """

    task_id: str
    state: str
    message: str
    canceled_at: str | None = None
    outcome: str = UNKNOWN


class Told(msgspec.Struct, frozen=True):
    """What workers answered to a cancel.

    `confirmed` maps a task to the worker that had it and stops it, `errors` a worker
    to why it could not stop what it runs. `unsent` is why nobody could be told.
    """

    answered: frozenset[str] = frozenset()
    confirmed: Mapping[str, str] = {}
    errors: Mapping[str, str] = {}
    unsent: str = ""


def read_told(answers: Mapping[str, object], ids: Iterable[str]) -> Told:
    """Return what workers answered to `revoke` with `terminate`.

    A worker names the tasks that it had (`terminate: ID, ID`), or tells an error.
    """
    wanted = set(ids)
    confirmed: dict[str, str] = {}
    errors: dict[str, str] = {}
    for host, answer in answers.items():
        if not isinstance(answer, Mapping):
            continue
        said = cast("Mapping[object, object]", answer)
        named = str(said.get("ok") or "").removeprefix("terminate: ").split(", ")
        confirmed |= dict.fromkeys(wanted.intersection(named), host)
        if said.get("error"):
            errors[host] = str(said["error"]).partition("\n")[0][:200]
    return Told(frozenset(answers), confirmed, errors)


def unknown(task: TaskImage) -> Cancelled:
    """Return the answer for a task of which nobody knows: nothing was sent.

    A narrow token gets it too for a task that is none of its own.
    """
    if task.state == shape.EXPIRED:
        said = "What was known of this task has run out; nothing was cancelled."
        return Cancelled(task.id, task.state, said)
    return Cancelled(task.id, shape.UNKNOWN, NOTHING_KNOWN)


def too_late(task: TaskImage) -> Cancelled:
    """Return the answer for a task that had ended before the cancel."""
    return Cancelled(
        task.id,
        task.state,
        f"Too late: the task is {task.state.lower()} already, nothing was cancelled.",
        outcome=TOO_LATE,
    )


def outcome_of(before: TaskImage, after: TaskImage | None, told: Told) -> Cancelled:
    """Return what came of a cancel, by the task before and after it."""
    if before.state in MISSING:
        return unknown(before)
    if before.final:
        return too_late(before)
    after = after or before
    if after.state == shape.REVOKED:
        ran = bool(before.started_at or after.started_at)
        how = "terminated while it ran" if ran else "revoked before it started"
        outcome = TERMINATED if ran else REVOKED
        at = after.finished_at or after.as_of
        return Cancelled(after.id, after.state, f"Cancelled: {how}.", at, outcome)
    if after.final:
        ended = f"Too late: it ended as {after.state.lower()} meanwhile."
        return Cancelled(after.id, after.state, ended, outcome=TOO_LATE)
    outcome, said = _open(after, told)
    return Cancelled(after.id, after.state, said, outcome=outcome)


def _open(task: TaskImage, told: Told) -> tuple[str, str]:
    """Return the outcome and a sentence for a task that has not ended yet."""
    still = f"the task is still {task.state.lower()}"
    if told.unsent:
        said = f"Cancel is not sent yet: {told.unsent}. It is kept, and workers are "
        return UNANSWERED, f"{said}told once they can be reached; {still}."
    if task.id in told.confirmed:
        said = f"Cancel was sent, and worker {told.confirmed[task.id]} confirmed that "
        return TAKEN, f"{said}it stops the task, but {still}."
    holder = task.worker if task.state in HELD else None
    if holder is not None and holder in told.errors:
        said = f"Cancel was sent, but worker {holder} cannot stop what it runs "
        more = "No pool but prefork, gevent and eventlet stops a running task."
        return TAKEN, f"{said}({told.errors[holder]}); {still}. {more}"
    if holder and told.answered and holder not in told.answered:
        said = f"Cancel was sent, but worker {holder}, which has the task, has not "
        more = "A solo worker hears it only after the task that it runs."
        return UNANSWERED, f"{said}answered; {still}. It is kept. {more}"
    if told.answered:
        return TAKEN, _taken(len(told.answered), still)
    return UNANSWERED, (
        f"Cancel was sent, but no worker has confirmed it yet; {still}. It is kept, "
        "and applied as soon as a worker answers that joins."
    )


def _taken(answered: int, still: str) -> str:
    return (
        f"Cancel was sent, and {answered} worker{'s' if answered > 1 else ''} took "
        f"note, but {still}. A waiting task is revoked when its turn comes."
    )
