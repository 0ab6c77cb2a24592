"""Repair of missing events: after a gap, at start, after silence, and periodically.

One monitor does it at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time

from herald_core.errors import StoreError
from herald_core.model.gaps import OPEN, Gap
from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers import worker as w
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_monitor.reconcile.evidence import EvidenceCollector
from herald_monitor.reconcile.gap_repair import GapRepair, ReconcilerStats
from herald_monitor.reconcile.scan import UnfinishedScan

log = logging.getLogger(__name__)

__all__ = ["Reconciler", "ReconcilerStats"]

LEASE_NAME = "reconcile"
POLL_INTERVAL_S = 1.0
"""Seconds between two glances at what might be a reason to look around."""

SCAN_DELAYS_S = (0.0, 2.0, 10.0)
"""Delay in seconds of the scan after a gap: workers send buffered events late."""

CLOSE_AFTER_S = 2.0
"""Seconds after the end of a gap from which a look can close it."""

REST_S_PER_TASK = 0.0004
MAX_REST_S = 10.0
"""Seconds of rest for each unfinished task that there is, and at most: so that
walking through them all takes a small part of the monitor's time."""

SETTLE_S = 5.0
"""Seconds after the start in which the gap before it may be reported only after the
scan that it causes."""


class Reconciler:
    """Repairs unfinished tasks in `store`, while it holds the lease for it.

    It checks due tasks every `every` seconds, and all tasks when there is a reason. It
    never delays ingestion: every wait has a timeout and blocks no other work.
    """

    def __init__(
        self,
        store: Store,
        survey: UnfinishedScan,
        sources: EvidenceCollector,
        owner: str,
        every: float,
    ) -> None:
        self.stats = ReconcilerStats()
        self.problem = ""
        self._store = store
        self._unfinished_scan = survey
        self._evidence = sources
        self._interval_s = every
        self._lease = Lease(store, LEASE_NAME, owner)
        self._woken = asyncio.Event()
        self._plan: list[float] = []
        self._gaps: set[str] = set()
        self._repair = GapRepair(store, sources, self.stats, self.wake)
        self._began_at = 0.0
        self._gone_workers: set[str] = set()
        self._rested_at = 0.0
        self._next_at = 0.0

    @property
    def is_leader(self) -> bool:
        """True if this monitor reconciles."""
        return self._lease.is_held

    def wake(self) -> None:
        """Let it glance at the gaps at once; on its own loop."""
        self._woken.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        try:
            async with self._lease:
                await self._run_as_leader()
        finally:
            await self._repair.stop()
            await self._evidence.close()

    async def _run_as_leader(self) -> None:
        fresh = True
        while True:
            await self._pause(0.1 if fresh else POLL_INTERVAL_S)
            if not self._lease.is_held:
                fresh = True
                await self._repair.stop()
                continue
            if fresh:
                fresh = False
                self._reset()
            try:
                await self._check_gaps()
            except StoreError as error:
                self._log_problem(str(error))
            except Exception:  # whatever is wrong with one look, the next may do
                log.exception("The reconciler stumbled; it goes on")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    def _reset(self) -> None:
        """Reset the state at a takeover: earlier results are unknown."""
        self._gaps.clear()
        self._gone_workers.clear()
        self._began_at, self._repair.repaired = time.time(), 0
        self._schedule_next(self._began_at)

    def _schedule_next(self, now: float) -> None:
        planned = [now + seconds for seconds in SCAN_DELAYS_S]
        # Of several gaps the newest counts: one scan covers all.
        self._plan = sorted({at for at in self._plan if at <= now} | set(planned))

    async def _check_gaps(self) -> None:
        now = time.time()
        gaps = [gap for gap in await self._store.list_gaps() if gap.state == OPEN]
        gaps = await self._repair.end_searched(gaps, now)
        await self._schedule_scans(gaps, now)
        if now < self._rested_at:
            return
        unscanned = [gap for gap in gaps if not self._repair.is_searched_for(gap)]
        planned = [at for at in self._plan if at <= now]
        if planned or unscanned:
            self._plan = [at for at in self._plan if at > now]
        if planned or now >= self._next_at:
            await self._scan(unscanned, at_all=bool(planned or unscanned))

    async def _schedule_scans(self, gaps: list[Gap], now: float) -> None:
        """Schedule scans for new gaps, and for workers that fell silent."""
        told = {gap.id for gap in gaps}
        if told - self._gaps:
            self._schedule_next(now)
        self._gaps = told
        workers = await self._store.list_workers(now=now)
        quiet = {one.hostname for one in workers if one.state in w.GONE_STATES}
        if quiet - self._gone_workers:
            self._plan.append(now)
        self._gone_workers = quiet

    async def _scan(self, gaps: list[Gap], *, at_all: bool) -> None:
        began = time.time()
        findings = await self._unfinished_scan.run(at_all=at_all)
        over = [gap for gap in gaps if from_rfc3339(gap.until) + CLOSE_AFTER_S <= began]
        if gaps or began - self._began_at < SETTLE_S:
            self._repair.repaired += findings.repaired + findings.found
        if findings.complete and at_all and over:
            self._repair.search_for(over)
        self._log_problem(findings.problem or self._repair.problem)
        self.stats.add(findings)
        self.stats.last = now = time.time()
        self._rested_at = now + min(findings.walked * REST_S_PER_TASK, MAX_REST_S)
        self._next_at = began + self._interval_s

    def _log_problem(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("Cannot reconcile all: %s", problem)
        self.problem = problem
