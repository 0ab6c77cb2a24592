"""The bounded memory between a process that makes events and the thread that writes."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxBatch:
    """Events in their order, and what was dropped before the first of them."""

    events: list[Event]
    dropped: int = 0
    dropped_since: float | None = None
    """When the first dropped event was made, unix seconds."""


class OutboxBuffer:
    """A queue of at most `max_events` that drops the oldest and counts them.

    Any thread may append, one takes. Appending takes no lock until the queue is full:
    operations of a deque are atomic.
    """

    def __init__(self, max_events: int) -> None:
        self._events: deque[Event] = deque()
        self._max_events = max_events
        self._drop_lock = threading.Lock()
        self._dropped = 0
        self._dropped_since: float | None = None

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Add an event; drop the oldest if there is no room."""
        if len(self._events) >= self._max_events:
            self._drop_oldest()
        self._events.append(event)

    def take(self, max_events: int) -> OutboxBatch:
        """Remove and return the oldest events, at most `max_events`."""
        with self._drop_lock:
            dropped, since = self._dropped, self._dropped_since
            self._dropped, self._dropped_since = 0, None
            # While the lock is held nothing between them is dropped.
            number = min(len(self._events), max_events)
            events = [self._events.popleft() for _ in range(number)]
        return OutboxBatch(events, dropped, since)

    def _drop_oldest(self) -> None:
        with self._drop_lock:
            while len(self._events) >= self._max_events:
                oldest = self._events.popleft()
                self._dropped += 1
                if self._dropped_since is None:
                    made = oldest.get("timestamp")
                    self._dropped_since = (
                        made if isinstance(made, float) else time.time()
                    )
