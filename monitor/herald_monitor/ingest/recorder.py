"""The recorder: batches of received events in, the store out; gaps for lost events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from herald_core.errors import EventDecodeError, StoreError
from herald_core.model.cursor import START
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import EventWriter
from herald_core.store.types import WriteResult
from herald_monitor.ingest.batch_pacer import BatchPacer, BatchSize
from herald_monitor.ingest.buffer import Batch, EventBuffer
from herald_monitor.ingest.consumers.event_header import TaskEvent
from herald_monitor.ingest.parser import EventParser, ParsedBatch
from herald_monitor.ingest.retrying_writer import (
    RejectedItem,
    RetryingWriter,
    describe_item,
)
from herald_monitor.ingest.writers.autoscaler import AutoscalingWriter, WriterPool

log = logging.getLogger(__name__)

MAX_BATCH_EVENTS = 4_000
"""Maximum events that are stored together. Under load a task's events arrive together
and make one record and one change, so larger batches cost less for each event."""

MAX_IN_FLIGHT = 2
"""Batches that are stored at a time while full ones wait: the next is read meanwhile.
In which order they are stored makes no difference to what they come to."""

REPLICA_LAG_S = 60.0
"""Seconds for which a promoted replica may have received nothing of its primary: Redis'
`repl-timeout`, after which both detect the disconnect."""


class Recorder:
    """Parses and stores the batches of `intake`, in order.

    A batch that the store refuses is retried until it is stored. Merging is idempotent,
    so no event is counted twice. `gap_stored` is called when a gap is in the store.
    """

    def __init__(
        self,
        intake: EventBuffer,
        writer: EventWriter,
        redact: Callable[[str], str],
        node: str,
        gap_stored: Callable[[], None] = lambda: None,
        pool: Callable[[], WriterPool] | None = None,
        shared: Callable[[bool], None] = lambda shared: None,
    ) -> None:
        self.parser = EventParser(redact)
        self._buffer = intake
        self._writer = writer
        self._autoscaler = AutoscalingWriter(
            writer, pool, full=MAX_BATCH_EVENTS, shared=shared
        )
        self._retrying_writer: RetryingWriter[TaskEvent] = RetryingWriter(
            self._autoscaler, node, self._on_rejected
        )
        self._node = node
        self._gaps: dict[str, Gap] = {}
        self._on_gap_stored = gap_stored
        self._numbers = count(1)
        self._dropped = 0
        self._epoch: int | None = None
        self._stored_at = 0.0
        self._pacer = BatchPacer()
        self._batch_size = BatchSize(MAX_BATCH_EVENTS)
        self._in_flight: deque[asyncio.Future[None]] = deque()
        self._events_parsed: deque[float] = deque()
        """The oldest arrival in each pending batch."""

    async def run(self) -> None:
        """Record until cancelled; `drain` then finishes the pending batches."""
        while True:
            await self._buffer.wait()
            await self._pacer.pause()
            taken = self._buffer.drain(self._batch_size.events)
            self._pacer.record(taken.size)
            self._start_batch(taken)
            await self._wait_for_slot()

    async def drain(self) -> None:
        """Record all that waits; for the end, when nothing more is put in."""
        while self._in_flight or self._buffer.waiting or self._gaps:
            if not self._in_flight:
                self._start_batch(self._buffer.drain(self._batch_size.events))
            await self._await_oldest()

    def _start_batch(self, taken: Batch) -> None:
        """Parse the taken events, and start to store them."""
        begun = time.thread_time()
        read = self.parser.parse(taken)
        self._batch_size.record(taken.size, time.thread_time() - begun)
        self._events_parsed.append(
            taken.batches[0].arrived_at if taken.batches else time.time()
        )
        before = self._in_flight[-1] if self._in_flight else None
        self._in_flight.append(asyncio.ensure_future(self._store(read, before)))

    async def _wait_for_slot(self) -> None:
        """Return when the next batch may start."""
        while self._in_flight and (
            len(self._in_flight) >= MAX_IN_FLIGHT
            or self._buffer.waiting < MAX_BATCH_EVENTS
        ):
            await self._await_oldest()

    async def _await_oldest(self) -> None:
        first = self._in_flight[0]
        await asyncio.shield(first)
        self._in_flight.popleft()
        self._events_parsed.popleft()

    @property
    def oldest(self) -> float | None:
        """The arrival of the oldest events that are not stored yet (unix seconds)."""
        heard = [*self._events_parsed, self._buffer.oldest]
        return min([at for at in heard if at is not None], default=None)

    def open_gap(
        self,
        since: float,
        until: float,
        reason: str,
        missing: int = 0,
        key: str = "",
        *,
        durable: bool = False,
    ) -> None:
        """Note a stretch (unix seconds) in which events may have been missed.

        `missing` counts starts that certainly were. `key` is the id of a gap that
        several monitors may notice, or one of them twice. `durable`: the broker stored
        the events.
        """
        gap = Gap(
            id=key or f"{self._node}-{round(until * 1000)}-{next(self._numbers)}",
            since=to_rfc3339(since),
            until=to_rfc3339(until),
            reason=reason,
            monitor=self._node,
            missing=missing,
            durable=durable,
        )
        self._gaps[gap.id] = gap
        self._buffer.wake()

    @property
    def writer_count(self) -> int:
        """The number of writer processes at the moment."""
        return self._autoscaler.writer_count

    async def close(self) -> None:
        """Stop the writer processes, once they have stored their events."""
        await self._autoscaler.close()

    @property
    def problem(self) -> str:
        """Why the store takes nothing at the moment; nothing if it does."""
        return self._retrying_writer.problem

    async def _store(
        self, read: ParsedBatch, before: asyncio.Future[None] | None
    ) -> None:
        """Store a parsed batch, and record the result, in the order of batches."""
        receipt = None
        if read.events or read.workers:
            try:
                receipt = await self._retrying_writer.store(read.events, read.workers)
            except EventDecodeError:
                events = self.parser.decode_all(read.events)
                receipt = await self._retrying_writer.store(events, read.workers)
        if before is not None:
            await asyncio.shield(before)
        now = time.time()
        if receipt is not None:
            self._record_receipt(receipt, now)
        for ticket in read.batch.acks:
            ticket.confirm()
        if read.batch.batches:
            heard = read.batch.batches[0].arrived_at
            self.parser.counters.lag = max(now - heard, 0.0)
        if self._buffer.dropped != self._dropped:
            self._report_drops()
        if self._gaps:
            await self._store_gaps()

    def _record_receipt(self, receipt: WriteResult, now: float) -> None:
        """Count a stored batch; open a gap if the store started another history."""
        counters = self.parser.counters
        counters.retries = self._retrying_writer.retries
        counters.changes += receipt.changes
        counters.batches += 1
        if receipt.cursor == START:
            return
        if self._epoch is not None and receipt.cursor.epoch != self._epoch:
            reason = "the store began a new history; what it took last may be lost"
            self.open_gap(self._stored_at - REPLICA_LAG_S, now, reason)
        self._epoch, self._stored_at = receipt.cursor.epoch, now

    def _on_rejected(self, item: RejectedItem, reason: str) -> None:
        """Note that the store took everything but this."""
        at, name = time.time(), describe_item(item)
        self.parser.quarantine(name.encode("utf-8", "replace"), reason)
        self.open_gap(at, at, f"the store refused something: {name}")

    def _log_problem(self, error: StoreError) -> None:
        log.debug("a gap waits: %s", error)

    def _report_drops(self) -> None:
        dropped = self._buffer.dropped - self._dropped
        self._dropped = self._buffer.dropped
        now = time.time()
        self.open_gap(
            now, now, f"{dropped} events did not fit into memory and were dropped"
        )

    async def _store_gaps(self) -> None:
        for id_, gap in list(self._gaps.items()):
            try:
                await self._writer.open_gap(gap)
            except StoreError as error:
                self._log_problem(error)
                # Perhaps no event comes that would be another occasion.
                asyncio.get_running_loop().call_later(1.0, self._buffer.wake)
                return
            self._gaps.pop(id_, None)
            self._on_gap_stored()
