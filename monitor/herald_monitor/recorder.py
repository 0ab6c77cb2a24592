"""Batches of what was heard in, the store out; and gaps for what was lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from herald_monitor.errors import StoreError
from herald_monitor.intake import Intake, Taken
from herald_monitor.interpreting import Interpreter, Read
from herald_monitor.model.cursor import START
from herald_monitor.model.shape import rfc3339
from herald_monitor.overflow import Overflow, Pool
from herald_monitor.pace import BatchSize, Pace
from herald_monitor.store import EventWriter, Gap, Receipt
from herald_monitor.storing import Item, Storing, sample_of
from herald_monitor.unread import Told

log = logging.getLogger(__name__)

BATCH = 4_000
"""Events that are stored together, if so many wait. Under load a task's events come
together and make one record and one change, so the more wait the less each costs."""

ABREAST = 2
"""Batches that are stored at a time while full ones wait: the next is read meanwhile.
In which order they are stored makes no difference to what they come to."""

REPLICA_BEHIND = 60.0
"""Seconds for which a replica that takes over may have heard nothing of its primary:
Redis' `repl-timeout`, after which the two know that they are apart."""


class Recorder:
    """Reads what `intake` holds and stores it, in order.

    A batch that the store does not take is offered again until it does:
    merging is idempotent, so nothing is counted twice. `gap_stored` is called when
    a gap is in the store.
    """

    def __init__(
        self,
        intake: Intake,
        writer: EventWriter,
        redact: Callable[[str], str],
        node: str,
        gap_stored: Callable[[], None] = lambda: None,
        pool: Callable[[], Pool] | None = None,
    ) -> None:
        self.interpreter = Interpreter(redact)
        self._intake = intake
        self._writer = writer
        self._overflow = Overflow(writer, pool, self.interpreter.opened, full=BATCH)
        self._storing: Storing[Told] = Storing(self._overflow, node, self._refused)
        self._node = node
        self._gaps: dict[str, Gap] = {}
        self._gap_stored = gap_stored
        self._numbers = count(1)
        self._dropped = 0
        self._epoch: int | None = None
        self._stored_at = 0.0
        self._pace = Pace()
        self._batch = BatchSize(BATCH)
        self._under_way: deque[asyncio.Future[None]] = deque()
        self._heard: deque[float] = deque()
        """When the oldest events of each batch under way were heard."""

    async def run(self) -> None:
        """Record until cancelled; `drain` then finishes what was begun."""
        while True:
            await self._intake.wait()
            await self._pace.gather()
            taken = self._intake.take(self._batch.events)
            self._pace.note(taken.size)
            self._begin(taken)
            await self._room()

    async def drain(self) -> None:
        """Record all that waits; for the end, when nothing more is put in."""
        while self._under_way or self._intake.waiting or self._gaps:
            if not self._under_way:
                self._begin(self._intake.take(self._batch.events))
            await self._end_of_first()

    def _begin(self, taken: Taken) -> None:
        """Read what was taken, and begin to store it."""
        begun = time.thread_time()
        read = self.interpreter.read(taken)
        self._batch.note(taken.size, time.thread_time() - begun)
        self._heard.append(taken.batches[0][1] if taken.batches else time.time())
        before = self._under_way[-1] if self._under_way else None
        self._under_way.append(asyncio.ensure_future(self._keep(read, before)))

    async def _room(self) -> None:
        """Return when the next batch may be begun."""
        while self._under_way and (
            len(self._under_way) >= ABREAST or self._intake.waiting < BATCH
        ):
            await self._end_of_first()

    async def _end_of_first(self) -> None:
        first = self._under_way[0]
        await asyncio.shield(first)
        self._under_way.popleft()
        self._heard.popleft()

    @property
    def oldest(self) -> float | None:
        """When the oldest events that are not stored yet were heard (unix seconds)."""
        heard = [*self._heard, self._intake.oldest]
        return min([at for at in heard if at is not None], default=None)

    def open_gap(
        self, since: float, until: float, reason: str, missing: int = 0
    ) -> None:
        """Note a stretch (unix seconds) in which events may have been missed.

        `missing` counts those that certainly were.
        """
        gap = Gap(
            id=f"{self._node}-{round(until * 1000)}-{next(self._numbers)}",
            since=rfc3339(since),
            until=rfc3339(until),
            reason=reason,
            monitor=self._node,
            missing=missing,
        )
        self._gaps[gap.id] = gap
        self._intake.wake()

    @property
    def helpers(self) -> int:
        """How many processes share the work of storing at the moment."""
        return self._overflow.helpers

    async def close(self) -> None:
        """End those, once they have stored what they were given."""
        await self._overflow.close()

    @property
    def problem(self) -> str:
        """Why the store takes nothing at the moment; nothing if it does."""
        return self._storing.problem

    async def _keep(self, read: Read, before: asyncio.Future[None] | None) -> None:
        """Store what was read, and note what that came to, in the order of batches."""
        receipt = None
        if read.events or read.workers:
            receipt = await self._storing.store(read.events, read.workers)
        if before is not None:
            await asyncio.shield(before)
        if receipt is not None:
            self._note(receipt)
        read.taken.confirm()
        if read.taken.batches:
            self.interpreter.counters.lag = max(
                time.time() - read.taken.batches[0][1], 0.0
            )
        self._note_drops()
        await self._store_gaps()

    def _note(self, receipt: Receipt) -> None:
        self.interpreter.counters.retries = self._storing.retries
        self.interpreter.counters.changes += receipt.changes
        self.interpreter.counters.batches += 1
        if receipt.cursor != START:
            self._watch_history(receipt)

    def _refused(self, item: Item, reason: str) -> None:
        """Note that the store took everything but this."""
        at, name = time.time(), sample_of(item)
        self.interpreter.set_aside(name.encode("utf-8", "replace"), reason)
        self.open_gap(at, at, f"the store refused something: {name}")

    def _watch_history(self, receipt: Receipt) -> None:
        """Open a gap when the store goes on with another history than before."""
        now = time.time()
        if self._epoch is not None and receipt.cursor.epoch != self._epoch:
            reason = "the store began a new history; what it took last may be lost"
            self.open_gap(self._stored_at - REPLICA_BEHIND, now, reason)
        self._epoch, self._stored_at = receipt.cursor.epoch, now

    def _note_problem(self, error: StoreError) -> None:
        log.debug("a gap waits: %s", error)

    def _note_drops(self) -> None:
        dropped = self._intake.dropped - self._dropped
        if dropped:
            self._dropped = self._intake.dropped
            now = time.time()
            self.open_gap(
                now, now, f"{dropped} events did not fit into memory and were dropped"
            )

    async def _store_gaps(self) -> None:
        for id_, gap in list(self._gaps.items()):
            try:
                await self._writer.open_gap(gap)
            except StoreError as error:
                self._note_problem(error)
                # Perhaps no event comes that would be another occasion.
                asyncio.get_running_loop().call_later(1.0, self._intake.wake)
                return
            self._gaps.pop(id_, None)
            self._gap_stored()
