"""How far the group has read and stored a stream, by the last look at it."""

from __future__ import annotations

from herald_monitor.ingest.outbox.stream_info import (
    EntryId,
    GroupInfo,
    StreamInfo,
    count_unread,
)

SLACK_S = 1.0
"""Age in seconds below which an entry is on its way, and not late."""

MAX_CHECK_AGE_S = 3.0
"""Seconds after which the last look says nothing about now."""


class ReadProgress:
    """What is known of one stream. Written by its reader, read by any thread.

    Times are unix seconds by our own clock; ages come from the clock of Redis.
    """

    def __init__(self) -> None:
        self.connected = False
        self.connected_since = 0.0
        self.exists = False
        """True once the stream was found: there are processes that write to it."""
        self.created_group = False
        """True if this reader created the group: there was no position."""
        self.checked_at = 0.0
        self.unread: int | None = 0
        self.pending = 0
        self.behind_s = 0.0

    def record(
        self,
        info: StreamInfo,
        group: GroupInfo,
        unread_since: EntryId | None,
        now: float,
    ) -> None:
        """Record a look at the stream; entries after `unread_since` are unread."""
        self.exists = True
        self.checked_at = now
        self.unread = count_unread(info, group) if unread_since else 0
        self.pending = group.pending
        waiting = [one for one in (group.oldest_pending, unread_since) if one]
        age = (info.find_time() - min(waiting).ms) / 1000 if waiting else 0.0
        self.behind_s = age if age > SLACK_S else 0.0

    def record_absent(self, now: float) -> None:
        """Record that there is no stream: nothing waits in it."""
        self.checked_at = now
        self.unread, self.pending, self.behind_s = 0, 0, 0.0

    def get_read_until(self, now: float) -> float:
        """Return the time before which all entries are read and stored."""
        if not self.exists:
            return now
        if self.behind_s or not self.connected:
            return min(self.checked_at - self.behind_s, now)
        return now if now - self.checked_at < MAX_CHECK_AGE_S else self.checked_at
