"""What the events did not tell: asked for after a gap, at start, when a worker falls
silent, and on a slow rhythm. One monitor does it at a time."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.lease import Lease
from herald_monitor.model import workers as w
from herald_monitor.model.shape import rfc3339, unix
from herald_monitor.sources import Findings, Sources
from herald_monitor.store import Gap, Store
from herald_monitor.survey import Survey

log = logging.getLogger(__name__)

WORK = "reconcile"
GLANCE = 1.0
"""Seconds between two glances at what might be a reason to look around."""

AFTER_GAP = (0.0, 2.0, 10.0)
"""Seconds after a gap at which to look: workers tell late what they kept."""

CLOSE_AFTER = 2.0
"""Seconds after the end of a gap from which a look can close it."""

REST = 0.0004
MOST_REST = 10.0
"""Seconds of rest for each unfinished task that there is, and at most: so that
walking through them all takes a small part of the monitor's time."""

SETTLING = 5.0
"""Seconds after the beginning in which the gap before it may be told only after the
look that it makes necessary."""

CLOCKS_DIFFER = 5.0
"""Seconds by which a worker's clock may be behind ours, when a gap is searched."""


class Tally(msgspec.Struct):
    """What this monitor's reconciler did so far. `last` is in unix seconds."""

    looks: int = 0
    checked: int = 0
    repaired: int = 0
    found: int = 0
    lost: int = 0
    gaps_closed: int = 0
    last: float | None = None

    def add(self, findings: Findings) -> None:
        """Add what one look came to."""
        self.looks += 1
        self.checked += findings.checked
        self.repaired += findings.repaired
        self.found += findings.found
        self.lost += findings.lost


class Reconciler:
    """Repairs unfinished tasks in `store`, while it holds the lease for it.

    It looks around every `every` seconds at what is due, and at everything when
    there is a reason. It never holds up the taking in of events: all its waiting
    is bounded, and on its own.
    """

    def __init__(
        self, store: Store, survey: Survey, sources: Sources, owner: str, every: float
    ) -> None:
        self.tally = Tally()
        self.problem = ""
        self._store = store
        self._survey = survey
        self._sources = sources
        self._every = every
        self._lease = Lease(store, WORK, owner)
        self._poked = asyncio.Event()
        self._plan: list[float] = []
        self._gaps: set[str] = set()
        self._mended = 0
        self._began_at = 0.0
        self._not_living: set[str] = set()
        self._rested_at = 0.0
        self._next_at = 0.0

    @property
    def at_work(self) -> bool:
        """Whether it is this monitor that reconciles."""
        return self._lease.held

    def poke(self) -> None:
        """Let it glance at the gaps at once; on its own loop."""
        self._poked.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        keeping = asyncio.create_task(self._lease.keep())
        try:
            await self._go_on()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._sources.close()

    async def _go_on(self) -> None:
        fresh = True
        while True:
            await self._pause(0.1 if fresh else GLANCE)
            if not self._lease.held:
                fresh = True
                continue
            if fresh:
                fresh = False
                self._begin()
            try:
                await self._glance()
            except StoreError as error:
                self._note(str(error))
            except Exception:  # whatever is wrong with one look, the next may do
                log.exception("The reconciler stumbled; it goes on")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._poked.wait()
        except TimeoutError:
            return
        finally:
            self._poked.clear()

    def _begin(self) -> None:
        """Take over: nothing is known of what happened before."""
        self._gaps.clear()
        self._not_living.clear()
        self._began_at, self._mended = time.time(), 0
        self._later(self._began_at)

    def _later(self, now: float) -> None:
        planned = [now + seconds for seconds in AFTER_GAP]
        # Of several gaps the newest counts: all are looked at together.
        self._plan = sorted({at for at in self._plan if at <= now} | set(planned))

    async def _glance(self) -> None:
        now = time.time()
        gaps = [gap for gap in await self._store.gaps() if gap.state == "open"]
        await self._watch(gaps, now)
        if now < self._rested_at:
            return
        planned = [at for at in self._plan if at <= now]
        if planned or gaps:
            self._plan = [at for at in self._plan if at > now]
        if planned or now >= self._next_at:
            await self._look(gaps, at_all=bool(planned or gaps))

    async def _watch(self, gaps: list[Gap], now: float) -> None:
        """Plan looks for gaps that are new, and for workers that fell silent."""
        told = {gap.id for gap in gaps}
        if told - self._gaps:
            self._later(now)
        self._gaps = told
        workers = await self._store.workers(now=now)
        quiet = {one.hostname for one in workers if one.state in w.GONE}
        if quiet - self._not_living:
            self._plan.append(now)
        self._not_living = quiet

    async def _look(self, gaps: list[Gap], *, at_all: bool) -> None:
        began = time.time()
        findings = await self._survey.look(at_all=at_all)
        over = [gap for gap in gaps if unix(gap.until) + CLOSE_AFTER <= began]
        if findings.complete and at_all and over:
            since = min(unix(gap.since) for gap in over) - CLOCKS_DIFFER
            findings.found += await self._sources.strangers(since)
        if gaps or began - self._began_at < SETTLING:
            self._mended += findings.repaired + findings.found
        if findings.complete and at_all and over:
            await self._close(over)
        self._note(findings.problem)
        self.tally.add(findings)
        self.tally.last = now = time.time()
        self._rested_at = now + min(findings.walked * REST, MOST_REST)
        self._next_at = began + self._every

    async def _close(self, gaps: list[Gap]) -> None:
        # Which gap something fell into cannot be told: it counts for the newest.
        mended, self._mended = self._mended, 0
        for number, gap in enumerate(gaps):
            closed = msgspec.structs.replace(
                gap,
                rev=None,
                state="closed",
                repaired=0 if number else mended,
                closed_at=rfc3339(time.time()),
            )
            await self._store.open_gap(closed)
            self.tally.gaps_closed += 1

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("Cannot reconcile all: %s", problem)
        self.problem = problem
