"""Batches of raw events in, the store out. Counts what it hears and what it loses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple, Protocol

import msgspec

from herald_monitor.errors import BadEvent, StoreError
from herald_monitor.intake import Heard, Intake, Taken
from herald_monitor.model.cursor import START
from herald_monitor.model.events import Event, parse, shorten
from herald_monitor.model.shape import rfc3339
from herald_monitor.model.spoken import Spoken, settle
from herald_monitor.model.workers import Worker, parse_worker
from herald_monitor.pace import Pace
from herald_monitor.store import EventWriter, Gap, Receipt
from herald_monitor.storing import Item, Storing, sample_of
from herald_monitor.wire import RawEvent, shown

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

MAX_SAMPLES = 5
SAMPLE = 200
"""Characters kept of an event that could not be read."""


class Counters(msgspec.Struct):
    """What happened since the monitor started. Lag is in seconds.

    `backend_events` are results that were stored, `asked_events` what workers
    answered and what was inferred; `events` are those of the broker.
    """

    events: int = 0
    task_events: int = 0
    worker_events: int = 0
    other_events: int = 0
    backend_events: int = 0
    asked_events: int = 0
    changes: int = 0
    batches: int = 0
    retries: int = 0
    poison: int = 0
    lag: float = 0.0
    last_event_at: float | None = None


class Read(NamedTuple):
    """What was taken, and what it tells."""

    taken: Taken
    events: list[Event]
    workers: list[Worker]


class Listener(Protocol):
    """Someone who hears all that is recorded, as it was heard here."""

    def hear(self, event: Event) -> None:
        """Hear what was said of a task."""
        ...

    def hear_worker(self, worker: Worker, heard: float) -> None:
        """Hear what a worker said of itself, at `heard` (unix seconds)."""
        ...


class Recorder:
    """Parses what `intake` holds and stores it, in order.

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
    ) -> None:
        self._intake = intake
        self._writer = writer
        self._storing = Storing(writer, node, self._refused)
        self._redact = redact
        self._node = node
        self._gaps: dict[str, Gap] = {}
        self._gap_stored = gap_stored
        self._numbers = count(1)
        self._dropped = 0
        self._epoch: int | None = None
        self._stored_at = 0.0
        self._pace = Pace()
        self.listener: Listener | None = None
        self._under_way: deque[asyncio.Future[None]] = deque()
        self.counters = Counters()
        self.samples: deque[str] = deque(maxlen=MAX_SAMPLES)

    async def run(self) -> None:
        """Record until cancelled; `drain` then finishes what was begun."""
        while True:
            await self._intake.wait()
            await self._pace.gather()
            taken = self._intake.take(BATCH)
            self._pace.note(taken.size)
            self._begin(taken)
            await self._room()

    async def drain(self) -> None:
        """Record all that waits; for the end, when nothing more is put in."""
        while self._under_way or self._intake.waiting or self._gaps:
            if not self._under_way:
                self._begin(self._intake.take(BATCH))
            await self._end_of_first()

    def _begin(self, taken: Taken) -> None:
        """Read what was taken, and begin to store it."""
        read = self._read_all(taken)
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

    def set_aside(self, body: bytes, reason: str) -> None:
        """Count something that cannot be read, and keep a sample of it."""
        self.counters.poison += 1
        text = body[:SAMPLE].decode("utf-8", "replace")
        short = shorten(reason, SAMPLE)
        self.samples.append(self._redact(f"{short} {text}" if text else short))
        log.warning("Set an event aside: %s", self._redact(short))

    @property
    def problem(self) -> str:
        """Why the store takes nothing at the moment; nothing if it does."""
        return self._storing.problem

    def _read_all(self, taken: Taken) -> Read:
        read = Read(taken, [], [])
        for batch, heard in taken.batches:
            self._read_batch(batch, heard, read.events, read.workers)
        return read

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
            self.counters.lag = max(time.time() - read.taken.batches[0][1], 0.0)
        self._note_drops()
        await self._store_gaps()

    def _read_batch(
        self,
        batch: Sequence[Heard],
        heard: float,
        events: list[Event],
        workers: list[Worker],
    ) -> None:
        spoken = 0
        for event in batch:
            if type(event) is Spoken:
                spoken += 1
                self._settle(event, heard, events)
            elif isinstance(event, Event):
                self._count(event)
                events.append(event)
            else:
                self.counters.events += 1
                self._read(event, heard, events, workers)
        self.counters.events += spoken
        if spoken or not all([isinstance(event, Event) for event in batch]):
            self.counters.last_event_at = heard

    def _count(self, event: Event) -> None:
        if event.source == "backend":
            self.counters.backend_events += 1
        else:
            self.counters.asked_events += 1

    def _settle(self, spoken: Spoken, heard: float, events: list[Event]) -> None:
        """Take in what was decoded the short way."""
        try:
            event = settle(spoken, heard, self._redact)
        except Exception as error:  # whatever an event holds, it stops no other
            self._unreadable(error)
            return
        self.counters.task_events += 1
        events.append(event)
        if self.listener is not None:
            self.listener.hear(event)

    def _read(
        self, raw: RawEvent, heard: float, events: list[Event], workers: list[Worker]
    ) -> None:
        counters = self.counters
        try:
            event = parse(raw, heard, self._redact)
            worker = parse_worker(raw, heard) if event is None else None
        except BadEvent as error:
            self.set_aside(shown(raw).encode("utf-8", "replace"), str(error))
        except Exception as error:  # whatever an event holds, it stops no other
            self._unreadable(error)
        else:
            if event is not None:
                counters.task_events += 1
                events.append(event)
                if self.listener is not None:
                    self.listener.hear(event)
            elif worker is not None:
                counters.worker_events += 1
                workers.append(worker)
                if self.listener is not None:
                    self.listener.hear_worker(worker, heard)
            else:
                counters.other_events += 1

    def _unreadable(self, error: Exception) -> None:
        log.error("An event could not be read", exc_info=error)
        self.set_aside(b"", f"{type(error).__name__} while reading an event")

    def _note(self, receipt: Receipt) -> None:
        self.counters.retries = self._storing.retries
        self.counters.changes += receipt.changes
        self.counters.batches += 1
        if receipt.cursor != START:
            self._watch_history(receipt)

    def _refused(self, item: Item, reason: str) -> None:
        """Note that the store took everything but this."""
        at, name = time.time(), sample_of(item)
        self.set_aside(name.encode("utf-8", "replace"), reason)
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
