"""The sum of a batch's rollup deltas, for every store. Pure.

The counts of one minute lie in three tables: of names (all tasks are the name ""), of
queues, and of causes of failures with their names. A row holds a number for each event
and each bucket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import (
    EVENT_WORDS,
    MAX_PARTS,
    MINUTE_S,
    OTHER_PART,
    ROLLUP_RETENTION_S,
    Rollup,
)
from herald_core.model.rollups.rollup_delta import RollupCell, RollupDelta, parse_minute

NAME_TABLE = "name"
QUEUE_TABLE = "queue"
FAILURE_TABLE = "failure"
ALL_ROWS = ""

RollupTable: TypeAlias = tuple[str, int]
"""The name of the table, and the start of the minute in unix seconds."""

RollupRow: TypeAlias = dict[str, int]
"""A number by code: a letter for an event, digits for a bucket of runtimes."""

RollupCounter: TypeAlias = tuple[RollupTable, str, str]
"""Table, row and code that a cell of a tally counts in."""

WORD_CODES: dict[str, str] = dict(zip(EVENT_WORDS, "srtkfyvjl", strict=True))
_WORDS_BY_CODE = {code: word for word, code in WORD_CODES.items()}


class RollupSums:
    """The deltas of a batch: `numbers` by cell, and the cells of each record.

    Minutes outside of the retention at `now` (unix seconds) are omitted.
    """

    def __init__(self, tallies: Sequence[RollupDelta], now: float) -> None:
        self.numbers: dict[RollupCell, int] = {}
        self._since = now - ROLLUP_RETENTION_S
        # Most records of a batch share a few deltas; each is examined once.
        apart = {id(tally): tally for tally in tallies}
        times = Counter(map(id, tallies))
        kept = {key: self._add(tally, times[key]) for key, tally in apart.items()}
        self.by_record: list[RollupDelta] = [kept[id(tally)] for tally in tallies]

    def _add(self, tally: RollupDelta, times: int) -> RollupDelta:
        kept = RollupDelta()
        for cell, number in tally.items():
            if parse_minute(cell[0]) >= self._since:
                kept[cell] = number
                self.numbers[cell] = self.numbers.get(cell, 0) + times * number
        return kept


@lru_cache(maxsize=2048)
def list_counters(cell: RollupCell) -> tuple[RollupCounter, ...]:
    """Return where `cell` counts."""
    minute, name, queue, word, bucket, cause = cell
    at, code = parse_minute(minute), WORD_CODES[word]
    names = (NAME_TABLE, at)
    found: list[RollupCounter] = [(names, ALL_ROWS, code)]
    if name:
        found.append((names, name, code))
    if queue:
        found.append(((QUEUE_TABLE, at), queue, code))
    if cause:
        found.append(((FAILURE_TABLE, at), make_failure_row(cause, name), code))
    if bucket >= 0:
        found += [
            (names, row, str(bucket)) for row in (ALL_ROWS, name) if row is not None
        ]
    return tuple(found)


def make_failure_row(cause: str, name: str | None) -> str:
    """Return the row of the failures of one cause and one task name."""
    return f"{cause} {name or ''}"


def make_failure_rollup(at: int, rows: Mapping[str, RollupRow]) -> FailureRollup:
    """Return the rows of a minute as a `FailureRollup`."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for row, numbers in rows.items():
        cause, _, name = row.partition(" ")
        failed = max(numbers.get(WORD_CODES["failed"], 0), 0)
        retried = max(numbers.get(WORD_CODES["retried"], 0), 0)
        if failed or retried:
            counts[cause, name] = (failed, retried)
    return FailureRollup(at=at, counts=counts)


def list_minutes(since: float, until: float) -> list[int]:
    """Return the starts of the requested minutes, oldest first."""
    last = int(-(-until // MINUTE_S)) * MINUTE_S
    first = int(max(since, until - ROLLUP_RETENTION_S) // MINUTE_S) * MINUTE_S
    return list(range(max(first, 0), last, MINUTE_S))


def select_row(name: str | None, queue: str | None) -> tuple[str, str]:
    """Return the table and the row of the requested counts."""
    return (QUEUE_TABLE, queue) if queue is not None else (NAME_TABLE, name or ALL_ROWS)


def make_rollup(
    at: int,
    row: Mapping[str, int],
    names: Mapping[str, Mapping[str, int]],
    queues: Mapping[str, Mapping[str, int]],
) -> Rollup:
    """Return a minute as a `Rollup`."""
    return Rollup(
        at=at,
        counts=_read_counts(row),
        runtimes=_read_runtimes(row),
        names={
            n: counts
            for n, of in names.items()
            if n != ALL_ROWS and (counts := _read_counts(of))
        },
        queues={q: counts for q, of in queues.items() if (counts := _read_counts(of))},
        runtimes_of={
            name: runs
            for name, of in names.items()
            if name != ALL_ROWS and (runs := _read_runtimes(of))
        },
    )


def _read_runtimes(row: Mapping[str, int]) -> dict[int, int]:
    return {int(code): n for code, n in row.items() if n > 0 and code.isdigit()}


def _read_counts(row: Mapping[str, int]) -> dict[str, int]:
    return {
        _WORDS_BY_CODE[code]: n
        for code, n in row.items()
        if n > 0 and code in _WORDS_BY_CODE
    }


class MemoryRollups:
    """Minutes in dicts: the part of the store in memory that counts."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[RollupTable, dict[str, RollupRow]] = {}

    def _add(self, tallies: Sequence[RollupDelta], now: float) -> None:
        for cell, number in RollupSums(tallies, now).numbers.items():
            for table, row, code in list_counters(cell):
                rows = self._tables.setdefault(table, {})
                if row not in rows and len(rows) > MAX_PARTS:
                    row = OTHER_PART
                numbers = rows.setdefault(row, {})
                numbers[code] = numbers.get(code, 0) + number
        for table in [t for t in self._tables if t[1] < now - ROLLUP_RETENTION_S]:
            del self._tables[table]

    async def read_rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        table, row = select_row(name, queue)
        found = [
            make_rollup(
                at,
                self._tables.get((table, at), {}).get(row, {}),
                self._tables.get((NAME_TABLE, at), {}) if parts else {},
                self._tables.get((QUEUE_TABLE, at), {}) if parts else {},
            )
            for at in list_minutes(since, until)
        ]
        return [one for one in found if one.counts]

    async def read_failure_rollups(
        self, since: float, until: float
    ) -> list[FailureRollup]:
        found = [
            make_failure_rollup(at, self._tables.get((FAILURE_TABLE, at), {}))
            for at in list_minutes(since, until)
        ]
        return [one for one in found if one.counts]
