"""Runtime statistics of each task name, from tasks that succeeded."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.ports import Store, TaskReader
from herald_server.auth import request_context
from herald_server.auth.scoped_store import scope_store
from herald_server.insight.duration_text import humanize

MIN_RUNS = 5
"""Minimum number of runs for an estimate."""

MAX_RUNS = 200
"""Latest runs that count."""

TTL_S = 30.0
"""Seconds for which a measurement is cached."""

MAX_NAMES = 1_000
MAX_ESTIMATE_PERCENT = 95.0
"""Maximum estimate in percent: only the task knows that it has finished."""


class RuntimeStats(msgspec.Struct, frozen=True):
    """Runtimes of the latest `runs`, in seconds."""

    runs: int
    p50: float
    p95: float
    p99: float

    @property
    def description(self) -> str:
        """The statistics as text."""
        return (
            f"about {humanize(self.p50)} (measured: median of {self.runs} runs; "
            f"95 % took at most {humanize(self.p95)})"
        )


class RuntimeEstimator:
    """Runtime statistics by Celery name, cached.

    A task-scoped token gets statistics of the tasks that it can see.
    """

    def __init__(self, reader: Store) -> None:
        self._reader: TaskReader = scope_store(reader)
        self._cache: dict[
            tuple[str, Filter | None], tuple[float, RuntimeStats | None]
        ] = {}

    async def measure_name(self, name: str | None) -> RuntimeStats | None:
        """Return the statistics of a Celery name; None below `MIN_RUNS` runs.

        Raises `StoreError`.
        """
        if not name:
            return None
        key = name, request_context.get_task_filter()
        at, known = self._cache.get(key, (0.0, None))
        if time.monotonic() - at < TTL_S and at:
            return known
        measured = compute_stats(await self._read_runtimes(name))
        if len(self._cache) >= MAX_NAMES:
            self._cache.clear()
        self._cache[key] = time.monotonic(), measured
        return measured

    def clear(self) -> None:
        """Clear the cache."""
        self._cache.clear()

    async def describe(self, name: str | None, otherwise: str) -> str:
        """Return the usual duration of a name as text. Raises `StoreError`."""
        measured = await self.measure_name(name)
        return measured.description if measured else otherwise

    async def _read_runtimes(self, name: str) -> list[float]:
        filter_ = Filter(name=(name,), state=(views.SUCCESS,))
        page = await self._reader.list_tasks(filter_, limit=MAX_RUNS)
        return [task.runtime for task in page.tasks if task.runtime is not None]


def compute_stats(runtimes: Sequence[float]) -> RuntimeStats | None:
    """Return the statistics of `runtimes` (seconds); None if they are too few."""
    if len(runtimes) < MIN_RUNS:
        return None
    ordered = sorted(runtimes)
    return RuntimeStats(
        len(ordered),
        find_percentile(ordered, 50),
        find_percentile(ordered, 95),
        find_percentile(ordered, 99),
    )


def find_percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of a sorted, non-empty sequence."""
    rank = -(-percent * len(ordered) // 100)
    return round(ordered[max(int(rank), 1) - 1], 6)


def estimate_progress(
    task: TaskView, measured: RuntimeStats | None, now: float
) -> float | None:
    """Return the estimated percentage done of a running task without progress."""
    if measured is None or task.state != views.STARTED or not task.started_at:
        return None
    spent = max(now - from_rfc3339(task.started_at), 0.0)
    if measured.p50 <= 0:
        return None
    return round(min(100.0 * spent / measured.p50, MAX_ESTIMATE_PERCENT), 1)
