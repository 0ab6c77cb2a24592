"""What Redis knows of a stream, its groups and their consumers. Pure.

`XINFO STREAM … FULL COUNT 1` tells all of it in one step. Before Redis 7.0 it does not
tell how many entries were ever added and read; those are None then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

CLAIM_AFTER_MS = 5_000
"""Silence of a consumer after which another takes its pending entries. A living one
reads at least once a second, also while it takes no entries."""

FORGET_AFTER_MS = 3_600_000
"""Silence after which a consumer with nothing pending is deleted."""


QUIET_MS = 86_400_000
"""Age of the newest entry beyond which a stream may be deleted because it expired."""


class EntryId(NamedTuple):
    """The id of an entry: unix milliseconds by the clock of Redis, and a number."""

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


NO_ENTRY = EntryId(0, 0)


class ConsumerInfo(msgspec.Struct, frozen=True):
    """A member of a group. `seen` is when it read last, in unix ms of Redis."""

    name: str
    seen: int
    pending: int


class GroupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A group: up to which entry and how many it has read, and what is pending."""

    name: str
    delivered: EntryId = NO_ENTRY
    read: int | None = None
    pending: int = 0
    oldest_pending: EntryId | None = None
    consumers: tuple[ConsumerInfo, ...] = ()


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stream: how many entries it holds, and how many were added to it ever."""

    length: int = 0
    added: int | None = None
    last: EntryId = NO_ENTRY
    first: EntryId | None = None
    groups: tuple[GroupInfo, ...] = ()

    def get_group(self, name: str) -> GroupInfo | None:
        """Return the group of a name, or None."""
        return next((one for one in self.groups if one.name == name), None)

    def find_time(self) -> int:
        """Return the latest time that Redis named here, in unix milliseconds."""
        seen = [one.seen for group in self.groups for one in group.consumers]
        return max([self.last.ms, *seen])


Table: TypeAlias = Mapping[bytes, Any]


def parse_entry_id(text: bytes) -> EntryId:
    """Return the id that Redis writes as `MS-NUMBER`."""
    ms, _, number = text.partition(b"-")
    return EntryId(int(ms), int(number or 0))


def parse_stream_info(reply: object) -> StreamInfo:
    """Return the information in a reply to `XINFO STREAM … FULL COUNT 1`."""
    told = to_table(reply)
    entries = told[b"entries"]
    return StreamInfo(
        length=int(told[b"length"]),
        added=_to_int(told.get(b"entries-added")),
        last=parse_entry_id(told[b"last-generated-id"]),
        first=parse_entry_id(entries[0][0]) if entries else None,
        groups=tuple(_parse_group(to_table(one)) for one in told[b"groups"]),
    )


def _parse_group(told: Table) -> GroupInfo:
    pending = told[b"pending"]
    return GroupInfo(
        name=told[b"name"].decode("utf-8", "replace"),
        delivered=parse_entry_id(told[b"last-delivered-id"]),
        read=_to_int(told.get(b"entries-read")),
        pending=int(told[b"pel-count"]),
        oldest_pending=parse_entry_id(pending[0][0]) if pending else None,
        consumers=tuple(_parse_consumer(to_table(c)) for c in told[b"consumers"]),
    )


def _parse_consumer(told: Table) -> ConsumerInfo:
    name = told[b"name"].decode("utf-8", "replace")
    return ConsumerInfo(name, int(told[b"seen-time"]), int(told[b"pel-count"]))


def to_table(reply: object) -> Table:
    """Return a map of RESP 3, or the flat list that it is in RESP 2, as a dict."""
    if isinstance(reply, dict):
        return cast(Table, reply)
    flat = cast(list[Any], reply)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _to_int(value: object) -> int | None:
    return value if isinstance(value, int) else None


def find_unread_loss(info: StreamInfo, group: GroupInfo) -> int | None:
    """Return how many entries left the stream before `group` read them.

    0 if none did, None if Redis cannot tell how many (or whether any) did. Entries are
    trimmed from the oldest on, so none is lost while one that was read is still there.
    """
    if info.first is not None and info.first <= group.delivered:
        return 0
    read = 0 if group.delivered == NO_ENTRY and group.read is None else group.read
    if info.added is None:
        # Our own trimming leaves the last entry that was read.
        is_behind = group.delivered not in (NO_ENTRY, info.last)
        return None if is_behind else 0
    if read is None:
        return None if group.delivered != info.last else 0
    return max(info.added - info.length - read, 0)


def count_unread(info: StreamInfo, group: GroupInfo) -> int | None:
    """Return how many entries of the stream `group` has not read; None if unknown."""
    if group.delivered >= info.last:
        return 0
    if info.first is None or info.first > group.delivered:
        return info.length
    if info.added is None or group.read is None:
        return None
    return min(max(info.added - group.read, 0), info.length)


def is_other_stream(info: StreamInfo, before: StreamInfo) -> bool:
    """Return True if the stream that was `before` was deleted, and this is another."""
    if info.added is not None and before.added is not None:
        return info.added < before.added or info.last < before.last
    return info.last < before.last or (
        info.first is not None and info.first > before.last
    )


def has_expired(info: StreamInfo) -> bool:
    """Return True if a stream that is gone was one that nobody wrote to any more.

    Workers let it expire days after the last entry (`herald_worker.outbox.appender`).
    """
    is_stored = all(g.delivered >= info.last and not g.pending for g in info.groups)
    return is_stored and info.find_time() - info.last.ms > QUIET_MS


def find_trim_limit(info: StreamInfo, keep_ms: int) -> EntryId | None:
    """Return the id below which entries can go; None if there are none.

    Each group has read and acknowledged them, and they are older than `keep_ms`.
    """
    if not info.groups or info.first is None:
        return None
    needed = [g.oldest_pending or g.delivered for g in info.groups]
    limit = min(*needed, EntryId(info.find_time() - keep_ms, 0))
    return limit if info.first < limit else None


def list_dead_consumers(info: StreamInfo, group: GroupInfo, own: str) -> list[str]:
    """Return the consumers that are silent and have entries that others may take."""
    limit = info.find_time() - CLAIM_AFTER_MS
    return [
        one.name
        for one in group.consumers
        if one.pending and one.seen <= limit and one.name != own
    ]


def list_forgotten_consumers(info: StreamInfo, group: GroupInfo, own: str) -> list[str]:
    """Return the consumers that left long ago, with nothing pending."""
    limit = info.find_time() - FORGET_AFTER_MS
    return [
        one.name
        for one in group.consumers
        if not one.pending and one.seen <= limit and one.name != own
    ]
