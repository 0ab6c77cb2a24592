"""The bounded buffer of events between the receiver's thread and the recorder's loop.

The receiver must read the broker as fast as the broker writes, or the broker
disconnects it. So events that cannot be stored yet wait here, in our own memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from herald_core.model.events.event import Event
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import EventHeader

BufferedEvent: TypeAlias = RawEvent | Event | EventHeader
"""An event as received, or as found by a query."""

MAX_WAITING_EVENTS = 200_000
"""Events; about 300 MB if they are as usual. A minute at 3,000 events a second."""

MAX_WAITING_BYTES = 200_000_000
"""Bytes in which they came: usual events have some 600 bytes, but may have 100,000."""

DISPENSABLE = frozenset(["task-progress", "worker-heartbeat", "progress"])
"""Events that are repeated soon, and dropped first above the limit."""


class ReceivedEvents(NamedTuple):
    """Events that arrived together at `arrived_at` (unix seconds).

    Those `from_outbox` are divided among the monitors, so nobody can count them.
    """

    events: Sequence[BufferedEvent]
    arrived_at: float
    from_outbox: bool = False


class Batch(NamedTuple):
    """Batches with their times (unix seconds), oldest first, and their tickets."""

    batches: list[ReceivedEvents]
    acks: list[Ack]
    size: int = 0
    """The number of its events."""


class EventBuffer:
    """Batches of events that wait to be recorded.

    `put_threadsafe` and `put` are called on any thread, the others on the loop that
    `attach` was called on. `dropped` counts the events above the limit.
    """

    def __init__(
        self, most: int = MAX_WAITING_EVENTS, most_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._max_events = most
        self._max_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._batches: deque[tuple[ReceivedEvents, Ack]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._woken = False
        self.waiting = 0
        self.dropped = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake up takers on `loop`."""
        self._loop = loop

    def put(self, events: list[Event]) -> None:
        """Add events that were found by a query just now."""
        self.put_threadsafe(events, time.time(), Ack())

    def put_threadsafe(
        self, events: Sequence[BufferedEvent], heard: float, ticket: Ack
    ) -> None:
        """Add events that were received at `heard` (unix seconds).

        The `ticket` is confirmed once they are stored, or dropped.
        """
        with self._lock:
            if self._bytes + ticket.size > self._max_bytes:
                self.dropped += len(events)
                events = ()
            elif self.waiting + len(events) > self._max_events:
                events = self._drop_oldest(events)
            if not events:
                ticket.confirm()
                return
            self._append(ReceivedEvents(events, heard), ticket)

    def put_from_outbox(
        self, events: Sequence[BufferedEvent], heard: float, ticket: Ack
    ) -> None:
        """Add events of the outbox. None is dropped: its reader limits their number."""
        with self._lock:
            self._append(ReceivedEvents(events, heard, True), ticket)

    def _append(self, received: ReceivedEvents, ticket: Ack) -> None:
        """Add a batch, and wake up the taker if it is the only one."""
        self._batches.append((received, ticket))
        self.waiting += len(received.events)
        self._bytes += ticket.size
        loop = self._loop
        # It may be gone already while the receiver's thread ends.
        if len(self._batches) == 1 and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._ready.set)

    def _drop_oldest(self, events: Sequence[BufferedEvent]) -> Sequence[BufferedEvent]:
        needed = [e for e in events if _get_kind(e) not in DISPENSABLE]
        room = max(self._max_events - self.waiting, 0)
        kept = needed[:room]
        self.dropped += len(events) - len(kept)
        return kept

    @property
    def oldest(self) -> float | None:
        """The arrival of the oldest waiting events (unix seconds)."""
        with self._lock:
            return self._batches[0][0].arrived_at if self._batches else None

    async def wait(self) -> None:
        """Return when events wait, or `wake` was called."""
        while True:
            # Clear before the check, so that no event in between is missed.
            self._ready.clear()
            if self.waiting or self._woken:
                self._woken = False
                return
            await self._ready.wait()

    def drain(self, most: int) -> Batch:
        """Return batches of about `most` events."""
        batches: list[ReceivedEvents] = []
        tickets: list[Ack] = []
        number = 0
        with self._lock:
            while self._batches and number < most:
                received, ticket = self._batches.popleft()
                tickets.append(ticket)
                batches.append(received)
                number += len(received.events)
                self._bytes -= ticket.size
            self.waiting -= number
        return Batch(batches, tickets, number)

    def wake(self) -> None:
        """Let `wait` return; on the loop of `attach`."""
        self._woken = True
        self._ready.set()


def _get_kind(event: BufferedEvent) -> object:
    return event.get("type") if isinstance(event, dict) else event.kind
