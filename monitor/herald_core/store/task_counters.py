"""The counters of tasks that Prometheus reads, for every store. Pure.

A series is a row of numbers by code: a letter for an event, `r` or `w` with an upper
bound for a bucket of runtimes or waits, and the sums of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from herald_core.model.rollups.counter_delta import (
    COUNTED_WORDS,
    CounterDelta,
    CounterLabels,
    CounterRow,
)
from herald_core.model.rollups.rollup import OTHER_PART, add_counts

NumberRow: TypeAlias = dict[str, Any]
"""Numbers of one series by code, and its exemplar."""

RUNTIME_SUM = "R"
WAIT_SUM = "W"
UPDATED_AT = "at"
"""Code of the time of the newest event, in unix seconds."""
EXEMPLAR = "x"
"""Code of the newest trace, with the runtime of its task in seconds."""

WORD_CODES: dict[str, str] = dict(zip(COUNTED_WORDS, "scbkfyvj", strict=True))
_WORDS_BY_CODE = {code: word for word, code in WORD_CODES.items()}

OTHER_LABELS = CounterLabels(OTHER_PART, OTHER_PART, OTHER_PART)
OTHER_ROW = msgspec.json.encode(OTHER_LABELS).decode()
"""The row of everything that is not counted apart."""


class TaskCounter(msgspec.Struct, frozen=True, kw_only=True):
    """One series. Buckets count by upper bound in seconds (infinite: above all)."""

    labels: CounterLabels
    events: dict[str, int] = {}
    runtimes: dict[float, int] = {}
    runtime_s: float = 0.0
    waits: dict[float, int] = {}
    wait_s: float = 0.0
    exemplar: tuple[str, float] | None = None
    """A trace id, and the runtime of its task in seconds."""

    @property
    def is_other(self) -> bool:
        """True if it counts everything that is not counted apart."""
        return self.labels == OTHER_LABELS


class CounterBook:
    """Additions to series that are not stored yet. Not thread-safe."""

    def __init__(self) -> None:
        self._kinds: dict[int, _Kind] = {}

    def add(self, one: CounterDelta) -> None:
        """Add what a stored change adds."""
        kind = self._kinds.get(id(one.rows))
        if kind is None:
            # It holds the rows, so that no other object gets their id.
            kind = self._kinds[id(one.rows)] = _Kind(one.rows)
        kind.number += 1
        kind.runtime_s += one.runtime_s
        kind.wait_s += one.wait_s
        if one.trace_id:
            kind.exemplar = one.trace_id, one.runtime_s

    def __bool__(self) -> bool:
        """Return True if there is anything to store."""
        return bool(self._kinds)

    def take(self) -> list[tuple[str, NumberRow]]:
        """Return what was added by row, and forget it."""
        sums: dict[CounterLabels, NumberRow] = {}
        for kind in self._kinds.values():
            kind.add_to(sums)
        self._kinds = {}
        return [(encode_labels(labels), row) for labels, row in sums.items()]


class _Kind(msgspec.Struct, gc=False):
    """What equal changes add together."""

    rows: tuple[CounterRow, ...]
    number: int = 0
    runtime_s: float = 0.0
    wait_s: float = 0.0
    exemplar: tuple[str, float] | None = None

    def add_to(self, sums: dict[CounterLabels, NumberRow]) -> None:
        """Add it to `sums`, in place."""
        row: NumberRow = {}
        for labels, counts in self.rows:
            row = sums.setdefault(labels, {})
            for word, number in counts:
                code = WORD_CODES.get(word, word)
                row[code] = row.get(code, 0) + number * self.number
        if self.runtime_s or self.wait_s:
            row[RUNTIME_SUM] = row.get(RUNTIME_SUM, 0.0) + self.runtime_s
            row[WAIT_SUM] = row.get(WAIT_SUM, 0.0) + self.wait_s
        if self.exemplar:
            row[EXEMPLAR] = self.exemplar


def merge_rows(
    a: Iterable[tuple[str, NumberRow]], b: Iterable[tuple[str, NumberRow]]
) -> list[tuple[str, NumberRow]]:
    """Return the additions of both."""
    merged: dict[str, NumberRow] = {}
    for name, row in (*a, *b):
        add_row(merged.setdefault(name, {}), row)
    return list(merged.items())


def add_row(numbers: NumberRow, added: NumberRow) -> None:
    """Add a row to `numbers`, in place; the newest trace replaces the one before."""
    for code, number in added.items():
        is_sum = code != EXEMPLAR
        numbers[code] = numbers.get(code, 0) + number if is_sum else number


def encode_labels(labels: CounterLabels) -> str:
    """Return the name of a series' row."""
    return msgspec.json.encode(labels).decode()


def make_task_counter(row: str | bytes, numbers: Mapping[str, Any]) -> TaskCounter:
    """Return the series of a row."""
    return TaskCounter(
        labels=msgspec.json.decode(row, type=CounterLabels),
        events={
            _WORDS_BY_CODE[code]: n
            for code, n in numbers.items()
            if code in _WORDS_BY_CODE and n > 0
        },
        runtimes=_read_buckets("r", numbers),
        runtime_s=numbers.get(RUNTIME_SUM, 0.0),
        waits=_read_buckets("w", numbers),
        wait_s=numbers.get(WAIT_SUM, 0.0),
        exemplar=_read_exemplar(numbers.get(EXEMPLAR)),
    )


def _read_buckets(kind: str, numbers: Mapping[str, Any]) -> dict[float, int]:
    return {
        float(code[1:] or "inf"): n
        for code, n in numbers.items()
        if code[:1] == kind and n > 0
    }


def _read_exemplar(value: Any) -> tuple[str, float] | None:
    return (str(value[0]), float(value[1])) if value else None


def merge_task_counters(counters: Iterable[TaskCounter]) -> list[TaskCounter]:
    """Return one series for each of the labels: the sums of several stores."""
    merged: dict[CounterLabels, TaskCounter] = {}
    for one in counters:
        known = merged.get(one.labels)
        merged[one.labels] = one if known is None else _sum_counters(known, one)
    return list(merged.values())


def _sum_counters(a: TaskCounter, b: TaskCounter) -> TaskCounter:
    sums: tuple[dict[str, int], dict[float, int], dict[float, int]] = ({}, {}, {})
    for one in (a, b):
        add_counts(sums[0], one.events)
        add_counts(sums[1], one.runtimes)
        add_counts(sums[2], one.waits)
    return TaskCounter(
        labels=a.labels,
        events=sums[0],
        runtimes=sums[1],
        runtime_s=a.runtime_s + b.runtime_s,
        waits=sums[2],
        wait_s=a.wait_s + b.wait_s,
        exemplar=b.exemplar or a.exemplar,
    )


class MemoryTaskCounters:
    """Series in dicts: the part of the store in memory that counts for Prometheus."""

    def __init__(self) -> None:
        super().__init__()
        self._series: dict[str, NumberRow] = {}

    def _count(
        self, deltas: Iterable[CounterDelta | None], limit: int, now: float
    ) -> None:
        book = CounterBook()
        for one in deltas:
            if one is not None:
                book.add(one)
        for name, added in book.take():
            is_apart = name in self._series or len(self._series) < limit
            numbers = self._series.setdefault(name if is_apart else OTHER_ROW, {})
            add_row(numbers, added)
            numbers[UPDATED_AT] = now

    def _expire_counters(self, until: float) -> None:
        for row in [r for r, n in self._series.items() if n[UPDATED_AT] < until]:
            del self._series[row]

    async def read_task_counters(self) -> list[TaskCounter]:
        return [make_task_counter(row, one) for row, one in self._series.items()]
