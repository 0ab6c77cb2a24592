"""Compaction of tasks with very many deliveries: old marks are deleted. Pure.

Their counts stay: the rollups hold them, and attempt numbers continue. So a task that
is retried for ever takes no more space than one with some dozens of retries. Its image
is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from herald_core.model.tasks.attempts import find_deliveries, find_sendings
from herald_core.model.tasks.deliveries import Delivery, EventMark
from herald_core.model.tasks.event_marks import get_mark_key
from herald_core.model.tasks.past_deliveries import (
    NO_PAST,
    Boot,
    PastDeliveries,
    find_published,
    make_boot_key,
    make_delivery_key,
    select_newest_boots,
)
from herald_core.model.tasks.states import select_public_delivery
from herald_core.model.tasks.task import Task

MAX_MARKS = 128
"""Marks that a stored task has at most, but for what one batch brings."""

MAX_LOOSE_MARKS = 4 * MAX_MARKS
"""Marks up to which a task is stored as it is, if its view depends on all of them."""

MAX_FULL_DELIVERIES = 16
"""Deliveries whose marks stay: a late event belongs to one of them."""


def compact(task: Task) -> Task:
    """Return `task` with few enough marks; the same object if it has them."""
    if len(task.marks) <= MAX_MARKS:
        return task
    runs = find_deliveries(task.marks, task.past)
    shown = select_public_delivery(task, runs)
    # The order is that of their starts: the numbers of the rest continue from there.
    # The image depends on the public delivery, and on the newest of the last attempt.
    last = [r for r in runs if r.retries == runs[-1].retries]
    fixed = {shown, last[-1], *[r for r in last if r.is_started][-1:]}
    others = sorted((r for r in runs if r not in fixed), key=lambda r: r.position)
    gone, kept = others[:-MAX_FULL_DELIVERIES], [*others[-MAX_FULL_DELIVERIES:], *fixed]
    marks = tuple(sorted(_iter_marks(kept), key=get_mark_key))
    past = _make_past(gone, kept, task)
    small = msgspec.structs.replace(task, marks=marks, past=past)
    return msgspec.structs.replace(small, past=_preserve_numbers(small, past, kept))


def _iter_marks(runs: Sequence[Delivery]) -> Iterable[EventMark]:
    sent = {get_mark_key(run.sent): run.sent for run in runs if run.sent}
    yield from sent.values()
    for run in runs:
        yield from (mark for mark in (run.received, run.started) if mark)
        # A repeated outcome adds no information.
        yield from {end.kind: end for end in sorted(run.ends, key=_get_age)}.values()


def _get_age(mark: EventMark) -> tuple[int, float]:
    return (mark.clock, mark.at)


def _make_past(
    gone: Sequence[Delivery], kept: Sequence[Delivery], task: Task
) -> PastDeliveries:
    before = task.past or NO_PAST
    sent = [mark.at for mark in find_sendings(task.marks).values()]
    if before.submitted is not None:
        sent.append(before.submitted)
    return PastDeliveries(
        before.public_attempt,
        max([before.number, *(run.number for run in gone if run.is_started)]),
        max(before.sendings, min(run.retries for run in kept)),
        min(sent, default=None),
        max([before.at, *(mark.at for mark in task.marks)]),
        max([before.received_at, *(mark.arrived_at_ms for mark in task.marks)]),
        {},
        _collect_boots(gone, before.boots),
        _keep_published(kept, before),
    )


def _keep_published(kept: Sequence[Delivery], before: PastDeliveries) -> dict[str, int]:
    return {
        make_delivery_key(run): number
        for run in kept
        if run.is_started and (number := find_published(before, run))
    }


def _collect_boots(
    gone: Iterable[Delivery], before: dict[str, Boot]
) -> dict[str, Boot]:
    boots = dict(before)
    for run in gone:
        for mark in (run.received, run.started, *run.ends):
            if mark is not None:
                key = make_boot_key(mark)
                clock, at = boots.get(key, (-1, 0.0))
                boots[key] = (max(clock, mark.clock), max(at, mark.event_time))
    return select_newest_boots(boots)


def _preserve_numbers(
    small: Task, past: PastDeliveries, kept: Sequence[Delivery]
) -> PastDeliveries:
    """Return `past` with the numbers of runs that would get others without it."""
    numbers = {make_delivery_key(run): run.number for run in kept if run.is_started}
    again = {
        make_delivery_key(run): run.number
        for run in find_deliveries(small.marks, past)
        if run.is_started
    }
    kept_numbers = {} if again == numbers else numbers
    return msgspec.structs.replace(past, numbers=kept_numbers)
