"""Events between the receiver's thread and the recorder's loop: bounded and counted.

The receiver must read the broker as fast as it writes, or the broker cuts it
off; so what cannot be stored yet waits here, in our own memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from herald_monitor.model.events import Event
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Said, Unread
from herald_monitor.wire import RawEvent

Heard: TypeAlias = RawEvent | Event | Unread
"""As it travelled, or as it was found out by asking."""

MAX_WAITING = 200_000
"""Events; about 300 MB if they are as usual. A minute at 3,000 events a second."""

MAX_BYTES = 200_000_000
"""Bytes in which they came: usual events have some 600 bytes, but may have 100,000."""

DISPENSABLE = frozenset(["task-progress", "worker-heartbeat", "progress"])
"""What is said again soon, and goes first when there is too much."""


class Taken(NamedTuple):
    """Batches with their times (unix seconds), oldest first, and their tickets."""

    batches: list[tuple[Sequence[Heard], float]]
    tickets: list[Ticket]

    @property
    def size(self) -> int:
        """How many events that is."""
        return sum([len(events) for events, _ in self.batches])

    def confirm(self) -> None:
        """Confirm all of it: it is stored, or set aside."""
        for ticket in self.tickets:
            ticket.confirm()


class Intake:
    """Batches of events that wait to be recorded.

    `put` and `offer` are called on any thread, the others on the loop that `open` was
    called on. `dropped` counts what did not fit.
    """

    def __init__(self, most: int = MAX_WAITING, most_bytes: int = MAX_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._batches: deque[tuple[Sequence[Heard], float, Ticket]] = deque()
        self._wake: Callable[[], None] = lambda: None
        self._ready = asyncio.Event()
        self._woken = False
        self.waiting = 0
        self.dropped = 0

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake up takers on `loop`."""

        def wake() -> None:
            # The loop may be gone already while the receiver's thread ends.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._ready.set)

        self._wake = wake

    def put(self, events: Sequence[Said], heard: float, ticket: Ticket) -> None:
        """Take in what was `heard` at a time (unix seconds).

        Its `ticket` is confirmed once it is stored, or dropped.
        """
        self._put(events, heard, ticket)

    def offer(self, events: list[Event]) -> None:
        """Take in what was found out by asking just now."""
        self._put(events, time.time(), Ticket())

    def _put(self, events: Sequence[Heard], heard: float, ticket: Ticket) -> None:
        with self._lock:
            if self._bytes + ticket.size > self._most_bytes:
                self.dropped += len(events)
                events = ()
            elif self.waiting + len(events) > self._most:
                events = self._make_room(events)
            if not events:
                ticket.confirm()
                return
            self._batches.append((events, heard, ticket))
            self.waiting += len(events)
            self._bytes += ticket.size
            alone = len(self._batches) == 1
        if alone:
            self._wake()

    def _make_room(self, events: Sequence[Heard]) -> Sequence[Heard]:
        needed = [e for e in events if _kind(e) not in DISPENSABLE]
        room = max(self._most - self.waiting, 0)
        kept = needed[:room]
        self.dropped += len(events) - len(kept)
        return kept

    @property
    def oldest(self) -> float | None:
        """When the oldest events that wait were heard (unix seconds)."""
        with self._lock:
            return self._batches[0][1] if self._batches else None

    async def wait(self) -> None:
        """Return when something waits, or someone called `wake`."""
        while True:
            # Cleared before the look: what comes in between is not missed.
            self._ready.clear()
            if self.waiting or self._woken:
                self._woken = False
                return
            await self._ready.wait()

    def take(self, most: int) -> Taken:
        """Return batches of about `most` events."""
        taken, number = Taken([], []), 0
        with self._lock:
            while self._batches and number < most:
                events, heard, ticket = self._batches.popleft()
                taken.tickets.append(ticket)
                taken.batches.append((events, heard))
                number += len(events)
                self._bytes -= ticket.size
            self.waiting -= number
        return taken

    def wake(self) -> None:
        """Let `wait` return; on the loop of `open`."""
        self._woken = True
        self._ready.set()


def _kind(event: Heard) -> object:
    return event.get("type") if isinstance(event, dict) else event.kind
