"""How long tasks of a name take, measured from those that succeeded."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.store import Reader, Store
from herald_server import caller
from herald_server.seen import seen

LEAST = 5
"""Runs below which nothing is said."""

RUNS = 200
"""Latest runs that count."""

FRESH = 30.0
"""Seconds for which a measure is kept."""

MOST_NAMES = 1_000
MOST_ESTIMATED = 95.0
"""Percent beyond which no estimate goes: only the task knows that it is done."""


class Measured(msgspec.Struct, frozen=True):
    """How long the latest `runs` took, in seconds."""

    runs: int
    p50: float
    p95: float
    p99: float

    @property
    def said(self) -> str:
        """The measure in words."""
        return (
            f"about {spoken(self.p50)} (measured: median of {self.runs} runs; "
            f"95 % took at most {spoken(self.p95)})"
        )


class Durations:
    """Measures by Celery name, remembered for a while.

    Whoever may see some tasks only is told how long those took.
    """

    def __init__(self, reader: Store) -> None:
        self._reader: Reader = seen(reader)
        self._known: dict[tuple[str, Filter | None], tuple[float, Measured | None]] = {}

    async def of(self, name: str | None) -> Measured | None:
        """Return the measure of a Celery name; None below `LEAST` runs.

        Raises `StoreError`.
        """
        if not name:
            return None
        key = name, caller.only()
        at, known = self._known.get(key, (0.0, None))
        if time.monotonic() - at < FRESH and at:
            return known
        measured = measure(await self._runtimes(name))
        if len(self._known) >= MOST_NAMES:
            self._known.clear()
        self._known[key] = time.monotonic(), measured
        return measured

    def forget(self) -> None:
        """Measure anew with the next question."""
        self._known.clear()

    async def said(self, name: str | None, otherwise: str) -> str:
        """Return how long tasks of a name take, in words. Raises `StoreError`."""
        measured = await self.of(name)
        return measured.said if measured else otherwise

    async def _runtimes(self, name: str) -> list[float]:
        asked = Filter(name=(name,), state=(shape.SUCCESS,))
        page = await self._reader.page(asked, limit=RUNS)
        return [task.runtime for task in page.tasks if task.runtime is not None]


def measure(runtimes: Sequence[float]) -> Measured | None:
    """Return what `runtimes` (seconds) come to; None if they are too few."""
    if len(runtimes) < LEAST:
        return None
    ordered = sorted(runtimes)
    return Measured(
        len(ordered),
        percentile(ordered, 50),
        percentile(ordered, 95),
        percentile(ordered, 99),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of sorted values, of which there are some."""
    rank = -(-percent * len(ordered) // 100)
    return round(ordered[max(int(rank), 1) - 1], 6)


def estimated(task: TaskImage, measured: Measured | None, now: float) -> float | None:
    """Return percent done as estimated for a task that runs and reports nothing."""
    if measured is None or task.state != shape.STARTED or not task.started_at:
        return None
    spent = max(now - unix(task.started_at), 0.0)
    if measured.p50 <= 0:
        return None
    return round(min(100.0 * spent / measured.p50, MOST_ESTIMATED), 1)


def spoken(seconds: float) -> str:
    """Return a number of seconds in words."""
    if seconds < 1:
        return f"{max(seconds * 1000, 1):.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
