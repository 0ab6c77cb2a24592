"""Learn schedules from tasks that are submitted regularly.

The rollups of the last day name the candidates: tasks that are submitted seldom. Of
those, the newest are read.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from herald_core.model.rollups.rollup import OTHER_PART, merge_rollups
from herald_core.model.schedules.learning import (
    MIN_RUNS,
    LearntSchedule,
    derive_schedules,
    make_learnt_spec,
)
from herald_core.store.ports import TaskReader
from herald_monitor.reconcile.schedules.run_reader import RunReader

WINDOW_S = 86_400.0
MAX_PER_MINUTE = 12
"""Submissions of a name in a minute above which nothing is learnt of it."""

MAX_CANDIDATES = 50
SAMPLE_TASKS = 48
"""Tasks of a name that are read."""

MAX_LEARNT = 100
STALE_INTERVALS = 3
"""Intervals without a run after which an unconfirmed schedule is forgotten."""


class ScheduleLearner:
    """Learns schedules of tasks that no source declares."""

    def __init__(self, reader: TaskReader, runs: RunReader) -> None:
        self._reader = reader
        self._runs = runs

    async def derive(
        self, declared: Container[str], now: float
    ) -> dict[str, LearntSchedule]:
        """Return the schedules that show, by id. `declared` names are left out."""
        learnt: dict[str, LearntSchedule] = {}
        for name in await self._list_candidates(declared, now):
            tasks = await self._runs.read_newest(name, SAMPLE_TASKS)
            for one in derive_schedules(name, tasks):
                if not is_stale(one, now):
                    learnt[make_learnt_spec(one).id] = one
        newest = sorted(learnt.items(), key=lambda item: -item[1].last)
        return dict(newest[:MAX_LEARNT])

    async def _list_candidates(self, declared: Container[str], now: float) -> list[str]:
        minutes = await self._reader.read_rollups(now - WINDOW_S, now + 60, parts=True)
        busy = {
            name
            for minute in minutes
            for name, counts in minute.names.items()
            if _count_calls(counts) > MAX_PER_MINUTE
        }
        names = merge_rollups(minutes).names
        totals = {name: _count_calls(counts) for name, counts in names.items()}
        found = [
            name
            for name, total in totals.items()
            if total >= MIN_RUNS
            and name not in busy
            and name not in declared
            and name != OTHER_PART
        ]
        return sorted(found, key=lambda name: totals[name])[:MAX_CANDIDATES]


def _count_calls(counts: Mapping[str, int]) -> int:
    """Return how many tasks were submitted, or received if that is not visible."""
    return max(counts.get("submitted", 0), counts.get("received", 0))


def is_stale(learnt: LearntSchedule, now: float) -> bool:
    """Return True if its task is not submitted any more as it was learnt."""
    return now - learnt.last > STALE_INTERVALS * learnt.interval
