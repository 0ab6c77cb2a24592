"""The attempt of each delivery, and its public number.

Only `sent` and `received` carry their attempt (`retries`). A delivery without them lies
between others of its worker, or fills a number that the rest leaves open.

The public number counts deliveries that were started, in the order of arrival. So a
later event never changes the number of a delivery. It is at least `retries` + 1. A
message that a worker only received has no number of its own: it would be the next
attempt, whichever worker starts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from herald_core.model.tasks.deliveries import Delivery, EventPosition
from herald_core.model.tasks.past_deliveries import (
    NO_PAST,
    PastDeliveries,
    find_published,
    make_delivery_key,
)


def assign_attempts(
    boots: Sequence[Sequence[Delivery]], sent: Collection[int], least: int = 0
) -> None:
    """Give each unnumbered run of `boots` its attempt; `sent` were sent for sure.

    All attempts below `least` are over.
    """
    for runs in boots:
        for i, run in enumerate(runs):
            if run.retries < 0:
                run.retries = _find_attempt(i, runs, boots, sent, least)


def _find_attempt(
    i: int,
    runs: Sequence[Delivery],
    boots: Sequence[Sequence[Delivery]],
    sent: Collection[int],
    least: int,
) -> int:
    """Return the attempt of delivery `i` of one boot, whose `runs` are in order."""
    run = runs[i]
    known = [r for boot in boots for r in boot if r.retries >= 0]
    taken = {r.retries for r in known}
    floor = runs[i - 1].retries + _is_retried(runs[i - 1]) if i else least
    following = {r.retries + 1 for r in known if _is_retried(r)} | set(sent)
    following = {n for n in following - taken if n >= floor}
    preceding = {n - 1 for n in taken if n > floor} - taken
    ceiling = next((r.retries for r in runs[i + 1 :] if r.retries >= 0), None)
    if ceiling is not None:
        # A later run of this boot is of a later attempt, or of the very first again.
        below = [n for n in following | preceding if n < ceiling]
        return max(below, default=max(ceiling - 1, floor))
    if run.is_final:
        # After an outcome nothing is tried again.
        return max(following | taken, default=least)
    if _is_retried(run) and preceding and not i:
        return min(following | preceding)
    return min(following) if following else max(taken, default=least)


def _is_retried(run: Delivery) -> bool:
    return run.end is not None and run.end.kind == "retried"


def assign_numbers(runs: Sequence[Delivery], past: PastDeliveries | None) -> None:
    """Assign each of `runs` its number; `past` holds the earlier deliveries."""
    numbers = _NumberAllocator(past or NO_PAST)
    for _, what, run in sorted(_iter_steps(runs), key=_get_step_order):
        if what == STEP_ANNOUNCED:
            numbers.reserve(run.retries)
        elif what == STEP_STARTED:
            numbers.assign(run)
        else:
            numbers.end(run.retries)
    for run in runs:
        if not run.is_started:
            run.number = run.next_attempt = numbers.get_next(run.retries)
        elif run.is_requeued:
            run.next_attempt = numbers.get_next(run.retries)
        run.attempt = run.number
    if past is not None and past.published:
        _assign_published(runs, past)


def _assign_published(runs: Sequence[Delivery], past: PastDeliveries) -> None:
    """Give each of `runs` the number that it was shown under; later ones follow it."""
    taken = set(past.published.values())
    highest = 0
    for run in sorted(filter(_is_started, runs), key=_get_number):
        published = find_published(past, run)
        free = max(run.number, highest + 1)
        while free in taken:
            free += 1
        run.attempt = published if published >= run.number else free
        highest = max(highest, run.attempt)
    for run in runs:
        run.next_attempt = max(run.next_attempt, highest + 1)
        if not run.is_started:
            run.attempt = run.next_attempt


def _is_started(run: Delivery) -> bool:
    return run.is_started


def _get_number(run: Delivery) -> int:
    return run.number


STEP_ANNOUNCED, STEP_STARTED, STEP_ENDED = range(3)

_NumberingStep: TypeAlias = tuple[EventPosition, int, Delivery]
"""The first arrival, the start, or the end of a delivery."""


def _iter_steps(runs: Sequence[Delivery]) -> Iterator[_NumberingStep]:
    for run in runs:
        yield run.announced_at, STEP_ANNOUNCED, run
        if run.is_started:
            yield run.position, STEP_STARTED, run
        if run.end is not None:
            yield max(run.position, _get_end_position(run)), STEP_ENDED, run


def _get_end_position(run: Delivery) -> EventPosition:
    return min((mark.arrived_at_ms, run.boot, mark.clock) for mark in run.ends)


def _get_step_order(step: _NumberingStep) -> tuple[EventPosition, int]:
    # Stable: runs of one boot stay in that worker's order.
    return step[0], step[1]


class _NumberAllocator:
    """The assigned attempt numbers, and one reserved for each retry."""

    def __init__(self, past: PastDeliveries) -> None:
        self._past = past
        self._taken = set(past.numbers.values())
        self._reserved: dict[int, int] = {}
        self._going: Counter[int] = Counter()
        self._last: Counter[int] = Counter()
        """The last number of each attempt (`retries`)."""

    def reserve(self, retries: int) -> None:
        """Reserve a number for the next delivery, which is shown while it waits.

        No number is reserved while another delivery of that attempt runs.
        """
        if not self._going[retries] and not self._reserved.get(retries):
            self._reserved[retries] = self._find_free(retries)
            self._taken.add(self._reserved[retries])

    def end(self, retries: int) -> None:
        """Note that a run is over."""
        self._going[retries] -= 1

    def get_next(self, retries: int) -> int:
        """Return the number of the next run of an attempt."""
        return self._reserved.get(retries) or self._find_free(retries)

    def assign(self, run: Delivery) -> None:
        """Assign a unique number to `run`."""
        before = self._past.numbers.get(make_delivery_key(run))
        run.number = before or self.get_next(run.retries)
        self._reserved[run.retries] = 0
        self._taken.add(run.number)
        self._last[run.retries] = run.number
        self._going[run.retries] += 1

    def _find_free(self, retries: int) -> int:
        number = max(retries, self._past.number, self._last[retries]) + 1
        while number in self._taken:
            number += 1
        return number
