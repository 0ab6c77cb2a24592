"""The choice where events are stored: in this process, or in writer processes.

One Python process merges 40,000 to 80,000 events a second. If several batches in a row
are full, the rate is higher. Then a few processes are started to share the work, and
stopped when the rate is low again. Until they are ready, events wait in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from herald_core.errors import EventDecodeError, StoreUnreachable
from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.workers.worker_record import Worker
from herald_core.store.ports import EventWriter
from herald_core.store.types import WriteResult
from herald_core.system.cancellation import cancel_tasks
from herald_monitor.ingest.consumers.event_header import EventHeader, TaskEvent

log = logging.getLogger(__name__)

FULL_BATCHES_TO_SCALE = 4
"""Full batches after which help is called: one alone is only a burst."""

QUIET_EVENTS_PER_S = 5_000.0
"""Events a second below which no help is needed for long."""

QUIET_S = 30.0
"""Seconds of it after which help is sent home."""

RETRY_AFTER_S = 30.0
"""Seconds before help is called again after it failed."""


class WriterPool(Protocol):
    """Processes that store, see `writing_pool.WriterProcessPool`."""

    @property
    def number(self) -> int:
        """The number of processes."""
        ...

    async def start(self) -> None:
        """Return once they can store. Raises an error if they cannot."""
        ...

    async def store(self, events: Sequence[TaskEvent], *, now: float) -> WriteResult:
        """Store `events`. Raises `StoreError`, or `EventDecodeError`."""
        ...

    async def stop(self) -> None:
        """Stop the processes, once they have stored their events."""
        ...


class AutoscalingWriter:
    """An `EventWriter` of events with headers only: `writer`, and at times a pool.

    `pool` makes one, not started; None disables it. `now` returns seconds. `full` is
    the number of events in a batch of maximum size. `shared` is called with True or
    False when a pool starts or stops sharing the work.
    """

    def __init__(
        self,
        writer: EventWriter,
        pool: Callable[[], WriterPool] | None,
        now: Callable[[], float] = time.monotonic,
        *,
        full: int,
        shared: Callable[[bool], None] = lambda shared: None,
    ) -> None:
        self._writer = writer
        self._make_pool = pool
        self._shared = shared
        self._was_shared = False
        self._now = now
        self._full_batch_events = full
        self._pool: WriterPool | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._full_batches = 0
        self._since = now()
        self._events = 0
        self._not_before = now()

    @property
    def writer_count(self) -> int:
        """The number of processes that share the work at the moment."""
        return self._pool.number if self._pool is not None else 0

    async def store(
        self, events: Sequence[TaskEvent], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        """Store the events in this process, or in the pool.

        Raises `EventDecodeError` for events that must be decoded first.
        """
        self._scale(len(events))
        if (pool := self._pool) is None or not events:
            if self._was_shared and any(type(event) is EventHeader for event in events):
                raise EventDecodeError(
                    "the processes that read events themselves are gone"
                )
            read = cast("Sequence[Event]", events)
            return await self._writer.store(read, workers, now=now)
        if workers:
            await self._writer.store((), workers, now=now)
        try:
            return await pool.store(events, now=now)
        except StoreUnreachable:
            # The pool may be the cause of the failure. A retry stores in this process,
            # and so checks the store itself.
            self._stop_pool(pool)
            raise

    async def open_gap(self, gap: Gap) -> WriteResult:
        """Store `gap`."""
        return await self._writer.open_gap(gap)

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        """Take the right of `owner` to do `work`."""
        return await self._writer.acquire_lease(work, owner, seconds)

    async def close(self) -> None:
        """Stop all processes, once they have stored their events."""
        if self._starting is not None:
            await cancel_tasks(self._starting)
        if self._pool is not None:
            self._stop_pool(self._pool)
        await asyncio.gather(*self._ending, return_exceptions=True)

    # -- when there is help ----------------------------------------------------------

    def _scale(self, events: int) -> None:
        """Call for help, or send it home, as the pace of events wants it."""
        self._full_batches = (
            self._full_batches + 1 if events >= self._full_batch_events else 0
        )
        self._events += events
        now = self._now()
        if now - self._since >= QUIET_S:
            pace = self._events / (now - self._since)
            self._since, self._events = now, 0
            if self._pool is not None and pace < QUIET_EVENTS_PER_S:
                log.info("Few events come; the monitor stores them alone again.")
                self._stop_pool(self._pool)
        if self._full_batches >= FULL_BATCHES_TO_SCALE and self._may_start(now):
            self._starting = asyncio.create_task(self._start_pool())

    def _may_start(self, now: float) -> bool:
        at_it = self._starting is not None and not self._starting.done()
        alone = self._pool is None and not at_it
        return alone and self._make_pool is not None and now >= self._not_before

    async def _start_pool(self) -> None:
        assert self._make_pool is not None
        pool = self._make_pool()
        try:
            await pool.start()
        except Exception as error:  # the monitor does it alone then, as before
            log.warning("No writing processes: %s", error)
            self._not_before = self._now() + RETRY_AFTER_S
        except asyncio.CancelledError:
            await pool.stop()
            raise
        else:
            log.info("Many events come; writing processes share the work.")
            self._pool, self._since, self._events = pool, self._now(), 0
            self._was_shared = True
            self._shared(True)

    def _stop_pool(self, pool: WriterPool) -> None:
        if self._pool is pool:
            self._pool, self._full_batches = None, 0
            self._shared(False)
            ending = asyncio.create_task(_stop_quietly(pool))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


async def _stop_quietly(pool: WriterPool) -> None:
    with contextlib.suppress(OSError):
        await pool.stop()
