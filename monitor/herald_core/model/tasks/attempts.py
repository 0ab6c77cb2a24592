"""The marks of a task as deliveries: worker, number and end of each.

Only `sent` and `received` carry their attempt (`retries`); from the worker outbox all
do. The others are assigned by the order of their worker: within one boot, Celery's
logical clock only grows. Between two workers only the order of arrival decides. Clocks
of two hosts are never compared.
Celery's logical clock does not help: task messages do not carry it
(celery/app/amqp.py). It follows other workers only by mingle, gossip and remote
control.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from herald_core.model.events.event import STOPPED
from herald_core.model.tasks.attempt_numbers import assign_attempts, assign_numbers
from herald_core.model.tasks.deliveries import (
    END_KINDS,
    KIND_ORDER,
    OUTCOME_KINDS,
    Delivery,
    EventMark,
    EventPosition,
)
from herald_core.model.tasks.past_deliveries import PastDeliveries

__all__ = [
    "END_KINDS",
    "KIND_ORDER",
    "OUTCOME_KINDS",
    "Delivery",
    "EventMark",
    "find_deliveries",
    "find_sendings",
]

MIN_BOOT_S = 1.0
"""Minimum seconds between two boots. A restarted container has the same hostname and
often the same pid; its logical clock starts again."""


def find_deliveries(
    marks: Sequence[EventMark], past: PastDeliveries | None = None
) -> list[Delivery]:
    """Return the deliveries of `marks` (sorted by host, pid and clock), in order.

    They are ordered by `retries`, started ones before waiting ones. The last is not
    always the public one: see `attempt_selection`. `past` holds the earlier deliveries.
    """
    sent = find_sendings(marks)
    boots: list[list[Delivery]] = []
    for _, said in groupby(marks, key=lambda m: (m.host, m.pid)):
        own = [mark for mark in said if mark.kind != "sent"]
        boots += [r for boot in _split_boots(own) if (r := _find_boot_deliveries(boot))]
    if len(boots) > 1:
        boots.sort(key=_get_first_position)
    assign_attempts(boots, sent.keys(), past.sendings if past else 0)
    return _sort_deliveries(boots, sent, past)


def find_sendings(marks: Iterable[EventMark]) -> dict[int, EventMark]:
    """Return when each attempt was first sent: its mark by `retries`."""
    sent: dict[int, EventMark] = {}
    for mark in marks:
        if mark.kind == "sent":
            attempt = max(mark.retries, 0)
            known = sent.get(attempt)
            if known is None or _get_earliness(mark) < _get_earliness(known):
                sent[attempt] = mark
    return sent


def _get_first_position(runs: Sequence[Delivery]) -> tuple[int, str, int]:
    first = runs[0].first
    return (first.arrived_at_ms, first.host, first.pid)


def _get_earliness(mark: EventMark) -> tuple[float, str, int, int]:
    return (mark.at, mark.host, mark.pid, mark.clock)


def _split_boots(marks: list[EventMark]) -> list[list[EventMark]]:
    """Split the marks of one host and pid into boots, each ordered by its clock."""
    if all(b.at >= a.at - MIN_BOOT_S for a, b in pairwise(marks)):
        return [marks] if marks else []
    boots: list[list[EventMark]] = []
    top, until = 0, 0.0
    # A clock may be reset; marks that arrived together are ordered by their clock.
    for mark in sorted(marks, key=lambda m: (m.arrived_at_ms, m.at, m.clock)):
        if not boots or (0 < mark.clock <= top and mark.at > until + MIN_BOOT_S):
            boots.append([])
            top = 0
        boots[-1].append(mark)
        top, until = max(top, mark.clock), mark.at
    return [sorted(b, key=lambda m: (m.clock, KIND_ORDER[m.kind], m.at)) for b in boots]


def _find_boot_deliveries(marks: Sequence[EventMark]) -> list[Delivery]:
    runs: list[Delivery] = []
    for mark in marks:
        if mark.kind == "received":
            run = Delivery(mark.retries)
            run.received = mark
            runs.append(run)
        elif mark.kind == "started":
            run = _choose_to_start(runs, mark.retries)
            run.started = mark
        elif mark.kind != STOPPED:
            _choose_to_end(runs, mark).ends.append(mark)
    return runs


def _choose_to_start(runs: list[Delivery], retries: int) -> Delivery:
    for run in runs:
        if (
            run.started is None
            and not run.ends
            and (retries < 0 or run.retries == retries)
        ):
            return run
    return _add_delivery(runs, retries)


def _choose_to_end(runs: list[Delivery], mark: EventMark) -> Delivery:
    """Return the delivery that `mark` ends; a new one is added to `runs`."""
    if mark.retries < 0:
        return _choose_unnamed_to_end(runs, mark)
    own = [run for run in runs if run.retries == mark.retries]
    chosen = _choose_unnamed_to_end(own, mark)
    if chosen not in runs:
        chosen.retries = mark.retries
        runs.append(chosen)
    return chosen


def _choose_unnamed_to_end(runs: list[Delivery], mark: EventMark) -> Delivery:
    for run in runs:
        if (
            run.ends
            and mark.clock - run.ends[-1].clock == 1
            and _is_repeated_end(run, mark)
        ):
            return run
    going = [r for r in runs if not r.ends]
    if len(going) > 1:
        return _choose_ended(runs, going, mark)
    if going:
        return going[0]
    # A second outcome stays with the run that it contradicts, for all to see.
    return runs[-1] if runs and runs[-1].is_final else _add_delivery(runs)


def _choose_ended(
    runs: Sequence[Delivery], going: Sequence[Delivery], mark: EventMark
) -> Delivery:
    """Return the delivery of several `going` that `mark` ends.

    The message of the next attempt is sent, received and perhaps started before this
    one reports its retry. Any other end belongs to the newest attempt, since its
    existence means that the one before is finished. Of two deliveries of one attempt
    the older may never end: Task.replace() sends no event for it. So the end belongs to
    the newer.
    """
    reach = _find_reachable_attempts(runs)
    running = [r for r in going if r.started]
    if mark.kind == "retried":
        return min(running or going, key=lambda r: reach[id(r)])
    if mark.kind == "revoked" and not mark.flag:
        # A running task is revoked only by termination.
        going = [r for r in going if not r.started] or going
    newest = max(reach[id(r)] for r in going)
    latest = [r for r in going if reach[id(r)] == newest]
    return next((r for r in reversed(latest) if r.started), latest[0])


def _find_reachable_attempts(runs: Sequence[Delivery]) -> dict[int, int]:
    """Return the known attempt of each delivery (by `id`) of this boot.

    A delivery whose `received` was lost has at least the attempt before it.
    """
    reach: dict[int, int] = {}
    known = -1
    for run in runs:
        known = run.retries if run.retries >= 0 else known
        reach[id(run)] = known
    return reach


def _is_repeated_end(run: Delivery, mark: EventMark) -> bool:
    """Return True if a worker reports one end twice in a row, as two events.

    The hard time limit sends `failed` twice. `Reject` sends `failed` and then
    `rejected`; with acks_on_failure off the order is reversed
    (celery/worker/request.py: on_timeout, on_failure).
    """
    one_end = ("failed", "rejected")
    return run.ends[-1].kind in one_end and mark.kind in one_end and not mark.flag


def _add_delivery(runs: list[Delivery], retries: int = -1) -> Delivery:
    run = Delivery(retries)
    runs.append(run)
    return run


def _sort_deliveries(
    boots: list[list[Delivery]], sent: dict[int, EventMark], past: PastDeliveries | None
) -> list[Delivery]:
    for of, boot in enumerate(boots):
        reached = (0, -1, 0)
        for run in boot:
            run.boot = of
            # Deliveries of one worker stay in its order, whatever arrived first.
            reached = run.position = max(reached, run.started_at)
            run.sent = sent.get(run.retries)
    runs = [run for boot in boots for run in boot]
    for retries in sent.keys() - {r.retries for r in runs}:
        run = Delivery(retries)
        run.sent = sent[retries]
        run.position = run.started_at
        runs.append(run)
    if len(runs) == 1 and past is None:
        [only] = runs
        only.number = only.attempt = only.retries + 1
        only.next_attempt = only.number + only.is_started
        return runs
    assign_numbers(runs, past)
    return sorted(runs, key=_get_position)


def _get_position(run: Delivery) -> tuple[int, bool, int, EventPosition]:
    given = run.number if run.is_started else 0
    return (run.retries, not run.is_started, given, run.position)
