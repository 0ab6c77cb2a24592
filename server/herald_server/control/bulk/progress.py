"""The progress of a bulk order, as a state machine. Pure; time is an argument.

A task of a retry passes these places, and is in one of them at any time: not begun,
`in_flight` (the intent to send it is stored), `unconfirmed` (its sender died or broke
off), `again` (proved not sent), or counted in `outcomes`. A process stores the intent
before it sends and the outcome afterwards. So another process that finds tasks in
flight knows exactly which may have been sent without an outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from herald_server.control.bulk.order import (
    DONE,
    MAX_FAILURES,
    RUNNING,
    UNCERTAIN,
    Outcome,
    TaskFailure,
)

UNCERTAINTY_S: Final = 300.0
"""Seconds for which evidence of a unconfirmed task is looked for."""

MAX_REASON_CHARS: Final = 300

UNCERTAIN_REASON: Final = (
    "it was being sent when its sender failed, and nothing shows whether the broker "
    "has it; it is not sent again"
)


class OrderProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an order is. Ids are those of the selected tasks.

    `cursor` is the number of selected tasks that were begun. `owner` is the process
    that stored this, `number` counts what was stored. `sent_since` is the earliest time
    at which a unconfirmed task may have been sent. Times are unix seconds.
    """

    number: int = 0
    owner: str = ""
    state: str = RUNNING
    cursor: int = 0
    in_flight: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    unconfirmed_since: float = 0.0
    sent_since: float = 0.0
    outcomes: dict[str, int] = {}
    failures: tuple[TaskFailure, ...] = ()
    problem: str = ""
    problem_since: float = 0.0
    updated_at: float = 0.0

    @property
    def is_over(self) -> bool:
        """True if nothing more is done for the order."""
        return self.state != RUNNING

    @property
    def handled(self) -> int:
        """The number of tasks with an outcome."""
        return sum(self.outcomes.values())

    @property
    def unconfirmed_count(self) -> int:
        """The number of tasks of which it is not known whether they were sent."""
        return len(self.in_flight) + len(self.unconfirmed)


def begin(progress: OrderProgress, fresh: Sequence[str], size: int) -> OrderProgress:
    """Return the progress with up to `size` tasks in flight: first those to send again,
    then `fresh` ones, which follow the cursor."""
    repeated = progress.again[:size]
    first = tuple(fresh[: size - len(repeated)])
    return msgspec.structs.replace(
        progress,
        in_flight=(*repeated, *first),
        again=progress.again[len(repeated) :],
        cursor=progress.cursor + len(first),
    )


def finish(
    progress: OrderProgress,
    outcomes: Mapping[str, Outcome],
    untouched: Collection[str],
    now: float,
) -> OrderProgress:
    """Return the progress after tasks in flight got `outcomes`.

    `untouched` were certainly not sent. The rest becomes unconfirmed.
    """
    left = [
        id_
        for id_ in progress.in_flight
        if id_ not in outcomes and id_ not in untouched
    ]
    again = tuple(id_ for id_ in progress.in_flight if id_ in untouched)
    cleared = msgspec.structs.replace(
        progress, in_flight=(), again=(*again, *progress.again)
    )
    return _hold_unconfirmed(count(cleared, outcomes), left, now)


def take_over(progress: OrderProgress, now: float) -> OrderProgress:
    """Return the progress for a process that did not send what is in flight."""
    left = progress.in_flight
    return _hold_unconfirmed(msgspec.structs.replace(progress, in_flight=()), left, now)


def _hold_unconfirmed(
    progress: OrderProgress, ids: Iterable[str], now: float
) -> OrderProgress:
    more = tuple(ids)
    if not more:
        return progress
    return msgspec.structs.replace(
        progress,
        unconfirmed=(*progress.unconfirmed, *more),
        unconfirmed_since=progress.unconfirmed_since if progress.unconfirmed else now,
        sent_since=progress.sent_since if progress.unconfirmed else progress.updated_at,
    )


def resolve(
    progress: OrderProgress,
    outcomes: Mapping[str, Outcome],
    untouched: Collection[str],
) -> OrderProgress:
    """Return the progress after evidence of unconfirmed tasks was found."""
    left = [
        id_
        for id_ in progress.unconfirmed
        if id_ not in outcomes and id_ not in untouched
    ]
    again = [id_ for id_ in progress.unconfirmed if id_ in untouched]
    kept = msgspec.structs.replace(
        progress, unconfirmed=tuple(left), again=(*progress.again, *again)
    )
    return count(kept, outcomes)


def end_unconfirmed(
    progress: OrderProgress, new_ids: Mapping[str, str], now: float
) -> OrderProgress:
    """Return the progress with unconfirmed tasks as `uncertain`, if it is time."""
    if not progress.unconfirmed or now - progress.unconfirmed_since < UNCERTAINTY_S:
        return progress
    return abandon_unconfirmed(progress, new_ids)


def abandon_unconfirmed(
    progress: OrderProgress, new_ids: Mapping[str, str]
) -> OrderProgress:
    """Return the progress with all unconfirmed tasks as `uncertain`."""
    ended = {
        id_: Outcome(UNCERTAIN, UNCERTAIN_REASON, new_ids.get(id_))
        for id_ in progress.unconfirmed
    }
    return count(msgspec.structs.replace(progress, unconfirmed=()), ended)


def count(progress: OrderProgress, outcomes: Mapping[str, Outcome]) -> OrderProgress:
    """Return the progress with `outcomes` counted, and the first failures listed."""
    if not outcomes:
        return progress
    counts = dict(progress.outcomes)
    listed = list(progress.failures)
    for id_, one in outcomes.items():
        counts[one.kind] = counts.get(one.kind, 0) + 1
        if one.reason and len(listed) < MAX_FAILURES:
            reason = one.reason[:MAX_REASON_CHARS]
            listed.append(TaskFailure(id_, one.kind, reason, one.new_id))
    return msgspec.structs.replace(progress, outcomes=counts, failures=tuple(listed))


def end_if_done(progress: OrderProgress, total: int) -> OrderProgress:
    """Return the progress as done if every task has an outcome."""
    if progress.is_over or progress.handled < total:
        return progress
    return msgspec.structs.replace(progress, state=DONE, problem="")


def set_problem(progress: OrderProgress, problem: str, now: float) -> OrderProgress:
    """Return the progress with the reason why it does not go on; empty: it does."""
    if problem == progress.problem:
        return progress
    since = progress.problem_since if problem and progress.problem else now
    return msgspec.structs.replace(progress, problem=problem, problem_since=since)


def has_work(progress: OrderProgress, total: int) -> bool:
    """Return True if there are tasks to send."""
    return bool(progress.again) or progress.cursor < total
