"""Which monitor reads a stream, if there are several of both.

All events of a task are in one stream. Were its entries divided among monitors, each
would read from the store what the others have just stored, and have its own writes
refused: with four monitors an event costs three times as much CPU. So each stream has
one reader, by the order of names. Redis decides nothing here: should two read for a
moment, each entry still goes to one of them.
"""

from __future__ import annotations

from herald_monitor.ingest.outbox.stream_info import (
    CLAIM_AFTER_MS,
    NO_ENTRY,
    GroupInfo,
    StreamInfo,
)

STALLED_AFTER_MS = 2_000
"""Time without progress, while entries wait, after which every monitor reads them."""

HELP_MS = 10_000
"""Time for which they do so: the reader may wait for a store that others reach."""


class StreamTurn:
    """Whether the monitor `name` is to read the stream of a number.

    Times are unix milliseconds by the clock of Redis. A single stream has no number: it
    is divided among all monitors.
    """

    def __init__(self, name: str, number: int | None) -> None:
        self.is_own = True
        self._name = name
        self._number = number
        self._delivered = NO_ENTRY
        self._moved_at = 0
        self._helps_until = 0

    def update(self, info: StreamInfo, group: GroupInfo) -> None:
        """Decide anew, by a look at the stream."""
        if self._number is None:
            return
        now = info.find_time()
        if group.delivered != self._delivered or group.delivered >= info.last:
            self._delivered, self._moved_at = group.delivered, now
        if now - self._moved_at >= STALLED_AFTER_MS:
            self._helps_until = now + HELP_MS
        readers = self._list_readers(group, now)
        chosen = readers[self._number % len(readers)]
        self.is_own = chosen == self._name or now < self._helps_until

    def _list_readers(self, group: GroupInfo, now: int) -> list[str]:
        """Return the names of the living consumers, sorted: ours is one of them."""
        living = {
            one.name for one in group.consumers if now - one.seen < CLAIM_AFTER_MS
        }
        return sorted(living | {self._name})
