"""Which attempt a run is of, and which number it is told by.

Only `sent` and `received` name their attempt (`retries`). A run without them stands
between others of its worker, or it fills a place that the rest leaves open.

The number that is told counts what was begun, in the order of arrival, so what is
heard later never gives another number to a run that has one. It is at least
`retries` + 1. A message that merely lies with a worker has no number of its own: it
would be the next attempt, whichever worker begins it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from herald_monitor.model.past import NOTHING, Past, begun_key
from herald_monitor.model.runs import Place, Run


def number(
    boots: Sequence[Sequence[Run]], sent: Collection[int], least: int = 0
) -> None:
    """Give each unnumbered run of `boots` its attempt; `sent` were sent for sure.

    All attempts below `least` are over.
    """
    for runs in boots:
        for i, run in enumerate(runs):
            if run.retries < 0:
                run.retries = _attempt_of(i, runs, boots, sent, least)


def _attempt_of(
    i: int,
    runs: Sequence[Run],
    boots: Sequence[Sequence[Run]],
    sent: Collection[int],
    least: int,
) -> int:
    """Return the attempt of run `i` of one boot, whose `runs` are in order."""
    run = runs[i]
    known = [r for boot in boots for r in boot if r.retries >= 0]
    taken = {r.retries for r in known}
    floor = runs[i - 1].retries + _retried(runs[i - 1]) if i else least
    following = {r.retries + 1 for r in known if _retried(r)} | set(sent)
    following = {n for n in following - taken if n >= floor}
    preceding = {n - 1 for n in taken if n > floor} - taken
    ceiling = next((r.retries for r in runs[i + 1 :] if r.retries >= 0), None)
    if ceiling is not None:
        # A later run of this boot is of a later attempt, or of the very first again.
        below = [n for n in following | preceding if n < ceiling]
        return max(below, default=max(ceiling - 1, floor))
    if run.over:
        # After an outcome nothing is tried again.
        return max(following | taken, default=least)
    if _retried(run) and preceding and not i:
        return min(following | preceding)
    return min(following) if following else max(taken, default=least)


def _retried(run: Run) -> bool:
    return run.end is not None and run.end.kind == "retried"


def allot(runs: Sequence[Run], past: Past | None) -> None:
    """Give each of `runs` its number; `past` is what went before them."""
    numbers = _Numbers(past or NOTHING)
    for _, what, run in sorted(_steps(runs), key=_order):
        if what == HEARD:
            numbers.keep_free(run.retries)
        elif what == BEGUN:
            numbers.take(run)
        else:
            numbers.end(run.retries)
    for run in runs:
        if not run.has_begun:
            run.number = numbers.next(run.retries)


HEARD, BEGUN, ENDED = range(3)

_Step: TypeAlias = tuple[Place, int, Run]
"""When a run was heard of, begun, or ended."""


def _steps(runs: Sequence[Run]) -> Iterator[_Step]:
    for run in runs:
        yield run.announced, HEARD, run
        if run.has_begun:
            yield run.place, BEGUN, run
        if run.end is not None:
            yield max(run.place, _end_place(run)), ENDED, run


def _end_place(run: Run) -> Place:
    return min((mark.arrived, run.boot, mark.clock) for mark in run.ends)


def _order(step: _Step) -> tuple[Place, int]:
    # Stable: runs of one boot stay in that worker's order.
    return step[0], step[1]


class _Numbers:
    """Numbers of attempts: those that are taken, and one kept for each retry."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._taken: set[int] = set()
        self._kept: dict[int, int] = {}
        self._going: Counter[int] = Counter()

    def keep_free(self, retries: int) -> None:
        """Keep a number for the next run, which is shown while it waits.

        It is not while another run of that attempt goes on.
        """
        if not self._going[retries] and not self._kept.get(retries):
            self._kept[retries] = self._free(retries)
            self._taken.add(self._kept[retries])

    def end(self, retries: int) -> None:
        """Note that a run is over."""
        self._going[retries] -= 1

    def next(self, retries: int) -> int:
        """Return the number of the next run of an attempt."""
        return self._kept.get(retries) or self._free(retries)

    def take(self, run: Run) -> None:
        """Give `run` its number, which nobody else gets."""
        before = self._past.numbers.get(begun_key(run))
        run.number = before or self.next(run.retries)
        if not before:
            self._kept[run.retries] = 0
        self._taken.add(run.number)
        self._going[run.retries] += 1

    def _free(self, retries: int) -> int:
        number = max(retries, self._past.number) + 1
        while number in self._taken:
            number += 1
        return number
