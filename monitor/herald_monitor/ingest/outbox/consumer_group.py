"""The commands of one consumer of a group on one stream, over one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from redis.exceptions import ResponseError

from herald_monitor.ingest.outbox.stream_connection import RawRedisConnection, Word
from herald_monitor.ingest.outbox.stream_info import (
    EntryId,
    StreamInfo,
    parse_entry_id,
    parse_stream_info,
)

READ_ENTRIES = 100
"""Entries of one read; each holds up to 200 events."""

MIN_IDLE_MS = 1_000
"""Milliseconds since the last delivery of an entry that is claimed: of two monitors
that claim it at once, the second gets nothing."""

LAST_ID = "18446744073709551615-0"
"""An id behind all entries."""

MAX_ACKS = 1_000
"""Ids of one XACK."""

GONE_TEXTS = ("NOGROUP", "no such key", "UNBLOCKED")
"""Errors that say that the stream or its group was deleted."""

Entry: TypeAlias = tuple[bytes, Sequence[bytes] | None]
"""Id and fields (a flat list); None if it was deleted while it was pending."""


class GroupGone(Exception):
    """The stream or its group is not there any more."""


class Claim(NamedTuple):
    """Pending entries that were taken from a dead consumer.

    `gone` are the ids of those that were deleted meanwhile. `is_last`: it has no more.
    """

    entries: list[Entry]
    gone: list[bytes]
    is_last: bool


class GroupConsumer:
    """The consumer `name` of `group` on `stream`. Raises `RedisError`, `OSError`;
    and `GroupGone` from all that needs the group."""

    def __init__(
        self, connection: RawRedisConnection, stream: str, group: str, name: str
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._group = group
        self._name = name
        self._info_command = ("XINFO", "STREAM", stream, "FULL", "COUNT", 1)
        self._about = (stream, group)

    def fetch_info(self) -> StreamInfo | None:
        """Return what Redis knows of the stream; None if there is none."""
        try:
            return parse_stream_info(self._connection.execute(*self._info_command))
        except ResponseError as error:
            if _is_gone(error):
                return None
            raise

    def wait_for_stream(self, block_ms: int) -> bool:
        """Return True when the stream has an entry, False after the time.

        It creates no key.
        """
        words = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", self._stream, "0-0")
        return bool(self._connection.execute(*words))

    def create_group(self, read: int | None) -> bool:
        """Create the group, which begins at the first entry; False if it exists.

        `read` entries count as read before it.
        """
        known = () if read is None else ("ENTRIESREAD", read)
        try:
            self._connection.execute("XGROUP", "CREATE", *self._about, "0", *known)
        except ResponseError as error:
            if "BUSYGROUP" in str(error):
                return False
            raise
        return True

    def read(self, block_ms: int) -> list[Entry]:
        """Return new entries, after at most `block_ms`."""
        return _parse_read(self._execute(*self._make_read(">", block_ms)))

    def read_with_info(self) -> tuple[StreamInfo, list[Entry]]:
        """Return what Redis knew just before, and new entries if there are any."""
        info, entries = self._execute_atomic(self._info_command, self._make_read(">"))
        return parse_stream_info(info), _parse_read(entries)

    def refresh_info(self) -> StreamInfo:
        """Return what Redis knows, and read nothing."""
        return parse_stream_info(self._execute_atomic(self._info_command)[0])

    def read_pending(self, after: bytes) -> list[Entry]:
        """Return this consumer's own pending entries after an id."""
        return _parse_read(self._execute(*self._make_read(after)))

    def _execute_atomic(self, *commands: Sequence[Word]) -> list[Any]:
        """Execute commands in one step, after a sign of life.

        Before Redis 7.2 a read of new entries that gets none is no such sign; a read of
        pending ones always is. (src/t_stream.c: xreadCommand)
        """
        sign = self._make_read(LAST_ID)
        try:
            _, *replies = self._connection.execute_atomic([sign, *commands])
        except ResponseError as error:
            raise _translate(error) from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise _translate(reply)
        return replies

    def acknowledge(self, ids: Sequence[bytes]) -> int:
        """Return how many of the entries were pending until now."""
        parts = [ids[at : at + MAX_ACKS] for at in range(0, len(ids), MAX_ACKS)]
        return sum(int(self._execute("XACK", *self._about, *part)) for part in parts)

    def claim(self, owner: str, first: EntryId | None) -> Claim:
        """Take a page of pending entries of `owner`; `first` is that of the stream."""
        told = self._execute("XPENDING", *self._about, "-", "+", READ_ENTRIES, owner)
        ids = [cast(bytes, one[0]) for one in told]
        gone = [i for i in ids if first is None or parse_entry_id(i) < first]
        there = ids[len(gone) :]
        entries = self._claim(there) if there else []
        missing = set(there) - {entry_id for entry_id, _ in entries}
        gone += [i for i in there if i in missing and not self._has_entry(i)]
        return Claim(entries, gone, len(ids) < READ_ENTRIES)

    def _claim(self, ids: Sequence[bytes]) -> list[Entry]:
        reply = self._execute("XCLAIM", *self._about, self._name, MIN_IDLE_MS, *ids)
        # Before Redis 7.0 a deleted entry is nil here.
        return [(one[0], one[1]) for one in reply if one and one[1] is not None]

    def _has_entry(self, entry_id: bytes) -> bool:
        return bool(self._execute("XRANGE", self._stream, entry_id, entry_id))

    def set_position(self, delivered: EntryId, read: int) -> None:
        """Note that the group has passed `read` entries up to an id.

        Redis 7.0 does not count trimmed entries that a read skips. Should another
        consumer have read on, entries are delivered once more.
        """
        words = ("XGROUP", "SETID", *self._about, str(delivered), "ENTRIESREAD", read)
        self._execute(*words)

    def trim(self, limit: EntryId) -> int:
        """Delete entries below `limit`, about; return how many."""
        words = ("XTRIM", self._stream, "MINID", "~", str(limit), "LIMIT", 0)
        return int(self._execute(*words))

    def delete_consumer(self, name: str) -> int:
        """Delete a consumer; return how many entries were pending for it after all."""
        return int(self._execute("XGROUP", "DELCONSUMER", *self._about, name))

    def close(self) -> None:
        """Close the connection; it raises nothing."""
        self._connection.close()

    def _make_read(self, after: str | bytes, block_ms: int = 0) -> tuple[Word, ...]:
        wait: tuple[Word, ...] = ("BLOCK", block_ms) if block_ms else ()
        return (
            *("XREADGROUP", "GROUP", self._group, self._name, "COUNT", READ_ENTRIES),
            *(*wait, "STREAMS", self._stream, after),
        )

    def _execute(self, *words: Word) -> Any:
        try:
            return self._connection.execute(*words)
        except ResponseError as error:
            raise _translate(error) from error


def _is_gone(error: Exception) -> bool:
    return any(text in str(error) for text in GONE_TEXTS)


def _translate(error: Exception) -> Exception:
    return GroupGone(str(error)) if _is_gone(error) else error


def _parse_read(reply: object) -> list[Entry]:
    """Return the entries of one stream in a reply, a map in RESP 3."""
    if not reply:
        return []
    if isinstance(reply, Mapping):
        [entries] = cast(Mapping[bytes, list[Any]], reply).values()
    else:
        [(_, entries)] = cast(list[Any], reply)
    return [(one[0], one[1]) for one in entries]
