"""The end of gaps: after a complete scan, all results are searched, then it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from herald_core.errors import HeraldError, StoreError
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339
from herald_core.model.workers import worker as w
from herald_core.store.ports import Store
from herald_monitor.reconcile.evidence import EvidenceCollector, Findings
from herald_monitor.reconcile.gap_verdict import SourceLimits, end_gap
from herald_monitor.reconcile.result_search import ResultSearch

MAX_CLOCK_SKEW_S = 5.0
"""Seconds by which a worker's clock may be behind ours, when a gap is searched."""

PROGRESS_INTERVAL_S = 2.0
"""Seconds between two reports of how far a search has come."""


class ReconcilerStats(msgspec.Struct):
    """The counters of this monitor's reconciler. `last` is in unix seconds.

    `searched` counts the stored results that were gone through for unknown tasks.
    """

    looks: int = 0
    checked: int = 0
    repaired: int = 0
    found: int = 0
    lost: int = 0
    gaps_closed: int = 0
    gaps_unrepairable: int = 0
    searched: int = 0
    last: float | None = None

    def add(self, findings: Findings) -> None:
        """Add the result of one scan."""
        self.looks += 1
        self.checked += findings.checked
        self.repaired += findings.repaired
        self.found += findings.found
        self.lost += findings.lost


class GapRepair:
    """Ends the gaps of `store`: all results are searched once for those that are over.

    `repaired` counts the tasks that were not as the events had told. `wake` is called
    when a search has ended.
    """

    def __init__(
        self,
        store: Store,
        sources: EvidenceCollector,
        stats: ReconcilerStats,
        wake: Callable[[], None],
    ) -> None:
        self.repaired = 0
        self.problem = ""
        self._store = store
        self._evidence = sources
        self._stats = stats
        self._search = ResultSearch(sources, wake)
        self._reported_at = 0.0
        self._counted = 0

    def search_for(self, gaps: Sequence[Gap]) -> None:
        """Search all results, since nothing else is unknown of `gaps`.

        A search that goes on is left alone: it may have passed results of new gaps.
        """
        if self._search.is_running:
            return
        self.problem, self._counted = "", 0
        self._reported_at = time.monotonic()
        since = min(from_rfc3339(gap.since) for gap in gaps) - MAX_CLOCK_SKEW_S
        self._search.start({gap.id for gap in gaps}, since)

    def is_searched_for(self, gap: Gap) -> bool:
        """Return True if a search for `gap` goes on."""
        return self._search.is_running and gap.id in self._search.gaps

    async def stop(self) -> None:
        """Break the search off; whoever reconciles next begins anew."""
        await self._search.stop()

    async def end_searched(self, gaps: Sequence[Gap], now: float) -> list[Gap]:
        """End those of the open `gaps` that were searched for; return the others.

        Raises `StoreError`.
        """
        mine = [gap for gap in gaps if gap.id in self._search.gaps]
        self._count_searched()
        if self._search.is_running:
            await self._report_progress(mine)
        elif self._search.is_complete:
            await self._end(mine, now)
            await self._search.stop()
            return [gap for gap in gaps if gap not in mine]
        elif self._search.problem:
            self.problem = self._search.problem
        return list(gaps)

    def _count_searched(self) -> None:
        self._stats.searched += self._search.searched - self._counted
        self._counted = self._search.searched

    async def _report_progress(self, gaps: Sequence[Gap]) -> None:
        """Show how far the search has come; a short one is not mentioned."""
        if time.monotonic() - self._reported_at < PROGRESS_INTERVAL_S:
            return
        self._reported_at = time.monotonic()
        searched, total = self._search.searched, self._search.total
        for gap in gaps:
            await self._store.open_gap(
                msgspec.structs.replace(
                    gap, rev=None, searched=searched, to_search=total
                )
            )

    async def _end(self, gaps: Sequence[Gap], now: float) -> None:
        try:
            limits = await self._find_limits(now)
        except StoreError:
            raise
        except HeraldError as error:
            self.problem = str(error)
            return
        found, closed_at = self._search.found, to_rfc3339(now)
        # The gap of a repaired task is unknown: it counts for the newest one.
        mended, self.repaired = self.repaired + found, 0
        self._stats.found += found
        for number, gap in enumerate(gaps):
            last = end_gap(gap, limits, closed_at, 0 if number else mended)
            shown = msgspec.structs.replace(
                last, searched=self._search.searched, to_search=self._search.total
            )
            await self._store.open_gap(shown)
            self._stats.gaps_closed += not last.unrepaired
            self._stats.gaps_unrepairable += bool(last.unrepaired)

    async def _find_limits(self, now: float) -> SourceLimits:
        workers = await self._store.list_workers(now=now)
        online = sorted(one.hostname for one in workers if one.state == w.ONLINE)
        return await self._evidence.find_source_limits(online)
