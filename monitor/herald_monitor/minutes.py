"""What a batch adds to the minutes, summed up: for every store. Pure.

The counts of one minute lie in two tables, one of names (all tasks are the name
"") and one of queues; a row holds a number for each word and each bucket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from herald_monitor.model.rollups import (
    MINUTE,
    MINUTES_FOR,
    MOST_PARTS,
    OTHER,
    WORDS,
    Rollup,
)
from herald_monitor.model.tally import Cell, Tally, minute_of

NAMES = "name"
QUEUES = "queue"
ALL = ""

Table: TypeAlias = tuple[str, int]
"""`NAMES` or `QUEUES`, and the start of the minute in unix seconds."""

Row: TypeAlias = dict[str, int]
"""A number by code: a letter for a word, digits for a bucket of runtimes."""

Spot: TypeAlias = tuple[Table, str, str]
"""Table, row and code that a cell of a tally counts in."""

CODES: dict[str, str] = dict(zip(WORDS, "srtkfyvjl", strict=True))
_WORDS = {code: word for word, code in CODES.items()}


class Sums:
    """The tallies of a batch: `numbers` by cell, and what each record has part in.

    Minutes that are over for good by `now` (unix seconds) are left out.
    """

    def __init__(self, tallies: Sequence[Tally], now: float) -> None:
        self.numbers: dict[Cell, int] = {}
        self._since = now - MINUTES_FOR
        self._fresh: dict[str, bool] = {}
        # Most records of a batch share a few tallies; each is looked at once.
        apart = {id(tally): tally for tally in tallies}
        times = Counter(map(id, tallies))
        kept = {key: self._add(tally, times[key]) for key, tally in apart.items()}
        self.by_record: list[Tally] = [kept[id(tally)] for tally in tallies]

    def _add(self, tally: Tally, times: int) -> Tally:
        kept: Tally = {}
        for cell, number in tally.items():
            if self._is_fresh(cell[0]):
                kept[cell] = number
                self.numbers[cell] = self.numbers.get(cell, 0) + times * number
        return kept

    def _is_fresh(self, minute: str) -> bool:
        fresh = self._fresh.get(minute)
        if fresh is None:
            fresh = self._fresh[minute] = minute_of(minute) >= self._since
        return fresh


@lru_cache(maxsize=2048)
def spots(cell: Cell) -> tuple[Spot, ...]:
    """Return where `cell` counts."""
    minute, name, queue, word, bucket = cell
    at, code = minute_of(minute), CODES[word]
    names = (NAMES, at)
    found: list[Spot] = [(names, ALL, code)]
    if name:
        found.append((names, name, code))
    if queue:
        found.append(((QUEUES, at), queue, code))
    if bucket >= 0:
        found += [(names, row, str(bucket)) for row in (ALL, name) if row is not None]
    return tuple(found)


def minutes_between(since: float, until: float) -> list[int]:
    """Return the starts of the minutes that are asked for, oldest first."""
    last = int(-(-until // MINUTE)) * MINUTE
    first = int(max(since, until - MINUTES_FOR) // MINUTE) * MINUTE
    return list(range(max(first, 0), last, MINUTE))


def asked_for(name: str | None, queue: str | None) -> tuple[str, str]:
    """Return the table and the row that hold what is asked for."""
    return (QUEUES, queue) if queue is not None else (NAMES, name or ALL)


def rollup(
    at: int,
    row: Mapping[str, int],
    names: Mapping[str, Mapping[str, int]],
    queues: Mapping[str, Mapping[str, int]],
) -> Rollup:
    """Return a minute as it is told."""
    return Rollup(
        at=at,
        counts=_counts(row),
        runtimes=_runtimes(row),
        names={
            n: told for n, of in names.items() if n != ALL and (told := _counts(of))
        },
        queues={q: told for q, of in queues.items() if (told := _counts(of))},
        runtimes_of={
            name: runs
            for name, of in names.items()
            if name != ALL and (runs := _runtimes(of))
        },
    )


def _runtimes(row: Mapping[str, int]) -> dict[int, int]:
    return {int(code): n for code, n in row.items() if n > 0 and code.isdigit()}


def _counts(row: Mapping[str, int]) -> dict[str, int]:
    return {_WORDS[code]: n for code, n in row.items() if n > 0 and code in _WORDS}


class MemoryMinutes:
    """Minutes in dicts: the part of the store in memory that counts."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[Table, dict[str, Row]] = {}

    def _add(self, tallies: Sequence[Tally], now: float) -> None:
        for cell, number in Sums(tallies, now).numbers.items():
            for table, row, code in spots(cell):
                rows = self._tables.setdefault(table, {})
                if row not in rows and len(rows) > MOST_PARTS:
                    row = OTHER
                numbers = rows.setdefault(row, {})
                numbers[code] = numbers.get(code, 0) + number
        for table in [t for t in self._tables if t[1] < now - MINUTES_FOR]:
            del self._tables[table]

    async def rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        table, row = asked_for(name, queue)
        found = [
            rollup(
                at,
                self._tables.get((table, at), {}).get(row, {}),
                self._tables.get((NAMES, at), {}) if parts else {},
                self._tables.get((QUEUES, at), {}) if parts else {},
            )
            for at in minutes_between(since, until)
        ]
        return [one for one in found if one.counts]
