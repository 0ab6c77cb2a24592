"""Entries that were read and are not acknowledged yet."""

from __future__ import annotations

from collections import deque

from herald_monitor.ingest.consumers.acks import Ack


class EntriesInFlight:
    """The entries of one stream on their way to the store. For one thread.

    `events` and `bytes` are those of all entries together.
    """

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self._open: deque[tuple[bytes, int, Ack]] = deque()
        self._ids: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, entry_id: bytes) -> bool:
        return entry_id in self._ids

    def add(self, entry_id: bytes, events: int, size: int) -> Ack:
        """Return the ack of an entry with so many events and bytes."""
        ack = Ack(entry_id, 1, size)
        self._open.append((entry_id, events, ack))
        self._ids.add(entry_id)
        self.events += events
        self.bytes += size
        return ack

    def pop_confirmed(self) -> list[bytes]:
        """Return the ids of the oldest entries that are stored by now."""
        ids: list[bytes] = []
        while self._open and self._open[0][2].confirmed:
            entry_id, events, ack = self._open.popleft()
            self._ids.discard(entry_id)
            self.events -= events
            self.bytes -= ack.size
            ids.append(entry_id)
        return ids
