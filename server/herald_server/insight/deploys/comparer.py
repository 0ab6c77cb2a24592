"""What became slower since a mark: the names of the rollups, compared."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from herald_core.model.marks.mark import Mark
from herald_core.model.marks.views import (
    Comparison,
    NameComparison,
    SlowerNames,
)
from herald_core.model.rollups.rollup import OTHER_PART, Rollup
from herald_core.store.documents import DocumentStore
from herald_server.insight.deploys import sentences
from herald_server.insight.deploys.comparison import (
    compare,
    select_failing,
    select_slower,
    take_sample,
)
from herald_server.insight.deploys.marks import find_mark
from herald_server.insight.deploys.periods import ComparedTime, choose_times
from herald_server.insight.stats.rollup_cache import DAY_S, RollupCache

MAX_LISTED = 100
SLICE_NAMES = 20
"""Names that are compared before others have a turn."""


class DeployComparer:
    """Compares the runs of names before and after a mark: all of them, or one.

    It counts all tasks: not for task-scoped tokens.
    """

    def __init__(self, reader: DocumentStore, rollups: RollupCache) -> None:
        self._reader = reader
        self._rollups = rollups

    async def compare_name(
        self, name: str, mark_id: str | None, window: float, now: float
    ) -> NameComparison:
        """Return `name` before and after the mark (None: the newest).

        `window` is in seconds, `now` in unix seconds. Raises `UnknownMark`,
        `StoreError`.
        """
        mark, halves = await self._read(mark_id, window, now)
        found = halves.compare(name)
        return NameComparison(
            mark=mark,
            before=halves.old.to_view(),
            after=halves.new.to_view(),
            comparison=found,
            message=sentences.describe_name(found, mark, halves.old, now),
        )

    async def list_slower(
        self, mark_id: str | None, window: float, now: float
    ) -> SlowerNames:
        """Return the names that are slower since the mark, or fail more often.

        Raises as `compare_name`.
        """
        mark, halves = await self._read(mark_id, window, now)
        found = await _compare_all(halves)
        counts = Counter(one.runtime for one in found)
        slower, failing = select_slower(found), select_failing(found)
        return SlowerNames(
            mark=mark,
            before=halves.old.to_view(),
            after=halves.new.to_view(),
            slower=tuple(slower[:MAX_LISTED]),
            failing_more=tuple(failing[:MAX_LISTED]),
            counts=dict(counts),
            whole=all(one.whole for one in found),
            message=sentences.describe_list(
                slower, failing, counts, mark, halves.old, now
            ),
        )

    async def _read(
        self, mark_id: str | None, window: float, now: float
    ) -> tuple[Mark, _Halves]:
        mark = await find_mark(self._reader, mark_id, now)
        old, new = choose_times(mark, window, now)
        minutes = await self._rollups.read_last(DAY_S, now)
        return mark, _Halves(old.select(minutes), new.select(minutes), old, new)


class _Halves(NamedTuple):
    """The minutes before and after, and the times that they cover."""

    before: list[Rollup]
    after: list[Rollup]
    old: ComparedTime
    new: ComparedTime

    def compare(self, name: str) -> Comparison:
        """Return `name` in both."""
        return compare(
            name,
            take_sample(self.before, name, self.old.minutes),
            take_sample(self.after, name, self.new.minutes),
        )

    def list_names(self) -> list[str]:
        """Return the names that ran in either."""
        minutes = (*self.before, *self.after)
        names = dict.fromkeys(name for one in minutes for name in one.names)
        return [name for name in names if name != OTHER_PART]


async def _compare_all(halves: _Halves) -> list[Comparison]:
    found: list[Comparison] = []
    for number, name in enumerate(halves.list_names()):
        if number % SLICE_NAMES == 0:
            await asyncio.sleep(0)
        found.append(halves.compare(name))
    return found
