"""Where events are stored: here, or in processes of their own while they are many.

One Python process merges 40,000 to 80,000 events a second. When batch after batch is
full, more come than that; then a few processes are started to share the work, and
are ended when it has become little again. Until they are up events wait in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from herald_monitor.errors import NotRead, StoreUnreachable
from herald_monitor.model.events import Event
from herald_monitor.model.workers import Worker
from herald_monitor.store import EventWriter, Gap, Receipt
from herald_monitor.unread import Told

log = logging.getLogger(__name__)

IN_A_ROW = 4
"""Full batches after which help is called: one alone is only a burst."""

QUIET = 5_000.0
"""Events a second below which no help is needed for long."""

QUIET_FOR = 30.0
"""Seconds of it after which help is sent home."""

AGAIN_AFTER = 30.0
"""Seconds before help is called again after it failed."""


class Pool(Protocol):
    """Processes that store, see `writing_pool.WritingPool`."""

    @property
    def number(self) -> int:
        """How many there are."""
        ...

    async def start(self) -> None:
        """Return once they can store. Raises an error if they cannot."""
        ...

    async def store(self, events: Sequence[Told], *, now: float) -> Receipt:
        """Store `events`. Raises `StoreError`, or `NotRead`."""
        ...

    async def stop(self) -> None:
        """End them, once they have stored what they were given."""
        ...


class Overflow:
    """An `EventWriter` of what need not be read yet: `writer`, and at times a pool.

    `opened` returns events read, and sets aside what cannot be. `pool` makes one, not
    started; None if there is never to be one. Times of the clock that `now` tells are
    seconds. `full`: events of a batch that is as large as the recorder makes them.
    """

    def __init__(
        self,
        writer: EventWriter,
        pool: Callable[[], Pool] | None,
        opened: Callable[[Sequence[Told]], list[Event]],
        now: Callable[[], float] = time.monotonic,
        *,
        full: int,
    ) -> None:
        self._writer = writer
        self._make = pool
        self._opened = opened
        self._now = now
        self._enough = full
        self._pool: Pool | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._full = 0
        self._since = now()
        self._events = 0
        self._not_before = now()

    @property
    def helpers(self) -> int:
        """How many processes share the work at the moment."""
        return self._pool.number if self._pool is not None else 0

    async def store(
        self, events: Sequence[Told], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        """Store them here, or there."""
        self._consider(len(events))
        if (pool := self._pool) is None or not events:
            return await self._writer.store(self._opened(events), workers, now=now)
        if workers:
            await self._writer.store((), workers, now=now)
        try:
            return await pool.store(events, now=now)
        except NotRead:
            return await self._writer.store(self._opened(events), now=now)
        except StoreUnreachable:
            # Perhaps it is the pool that is away: whoever stores this again does
            # so here, and finds out about the store itself.
            self._dismiss(pool)
            raise

    async def open_gap(self, gap: Gap) -> Receipt:
        """Store `gap`."""
        return await self._writer.open_gap(gap)

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        """Take the right of `owner` to do `work`."""
        return await self._writer.lease(work, owner, seconds)

    async def close(self) -> None:
        """End all processes, once they have stored what they were given."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._pool is not None:
            self._dismiss(self._pool)
        await asyncio.gather(*self._ending, return_exceptions=True)

    # -- when there is help ----------------------------------------------------------

    def _consider(self, events: int) -> None:
        """Call for help, or send it home, as the pace of events wants it."""
        self._full = self._full + 1 if events >= self._enough else 0
        self._events += events
        now = self._now()
        if now - self._since >= QUIET_FOR:
            pace = self._events / (now - self._since)
            self._since, self._events = now, 0
            if self._pool is not None and pace < QUIET:
                log.info("Few events come; the monitor stores them alone again.")
                self._dismiss(self._pool)
        if self._full >= IN_A_ROW and self._may_call(now):
            self._starting = asyncio.create_task(self._call())

    def _may_call(self, now: float) -> bool:
        at_it = self._starting is not None and not self._starting.done()
        alone = self._pool is None and not at_it
        return alone and self._make is not None and now >= self._not_before

    async def _call(self) -> None:
        assert self._make is not None
        pool = self._make()
        try:
            await pool.start()
        except Exception as error:  # the monitor does it alone then, as before
            log.warning("No writing processes: %s", error)
            self._not_before = self._now() + AGAIN_AFTER
        except asyncio.CancelledError:
            await pool.stop()
            raise
        else:
            log.info("Many events come; writing processes share the work.")
            self._pool, self._since, self._events = pool, self._now(), 0

    def _dismiss(self, pool: Pool) -> None:
        if self._pool is pool:
            self._pool, self._full = None, 0
            ending = asyncio.create_task(_ended(pool))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


async def _ended(pool: Pool) -> None:
    with contextlib.suppress(OSError):
        await pool.stop()
