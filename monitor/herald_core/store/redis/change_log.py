"""Log on Redis: a stream, one entry a batch."""

from __future__ import annotations

import asyncio

from herald_core.model.changes import LogEntry, decode_change
from herald_core.model.cursor import START, Cursor, parse_cursor
from herald_core.model.vector_cursor import PartitionCursor
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.keys import RedisKeys

MAX_WAIT_S = 3_600.0
"""Seconds that one blocking read lasts at most."""

FIRST_READ_ENTRIES = 4
"""Entries of the first read, before their size is known."""

LARGE_BYTES = 64 * 1024
"""Of an entry: to read more of them at once would hold up all else."""

READ_BYTES = 4 * 1024 * 1024
"""Bytes of entries after which no more are read at once. One entry has up to 256
changes, and one change up to 50 KB."""


class RedisChangeLog:
    """The `Log` port on Redis: the whole of it, or that of partition `part`."""

    def __init__(
        self, link: RedisClient, keys: RedisKeys, part: int | None = None
    ) -> None:
        self._client = link
        self._keys = keys
        self._part = part

    async def read_end(self) -> Cursor:
        # The script stores it beside the log: XINFO would return two whole entries.
        end = await self._client.execute("HGET", self._keys.meta, "end")
        return parse_cursor(end.decode()) if end else START

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        if until is not None:
            if until.n <= after.n:
                return []
            limit = min(limit, until.n - after.n)
        limit, wait = max(limit, 1), min(max(wait, 0.0), MAX_WAIT_S)
        entries: list[LogEntry] = []
        count, size = min(FIRST_READ_ENTRIES, limit), 0
        while count > 0:
            some = await self._request_entries(after, count, 0.0 if entries else wait)
            for id_, fields in some:
                entries.append(_decode_entry(id_, fields, self._part))
                length = sum(map(len, fields))
                size += length
                if length > LARGE_BYTES:
                    # Others are served between two of them.
                    await asyncio.sleep(0)
            if len(some) < count or size >= READ_BYTES:
                break
            after = entries[-1].cursor
            fitting = (READ_BYTES - size) * len(entries) // max(size, 1)
            count = min(max(fitting, 1), limit - len(entries))
        return entries

    async def _request_entries(self, after: Cursor, limit: int, wait: float) -> Reply:
        """Return the entries after `after`, as (id, fields) each."""
        words: list[Word] = ["XREAD", "COUNT", limit]
        if wait:
            words += ["BLOCK", max(round(wait * 1000), 1)]
        words += ["STREAMS", self._keys.log, f"{after.epoch}-{after.n}"]
        if wait:
            reply = await self._client.execute_blocking(wait, *words)
        else:
            reply = await self._client.execute(*words)
        return reply[0][1] if reply else []

    async def read_history_id(self) -> str:
        info: bytes = await self._client.execute("INFO", "replication")
        for line in info.decode().splitlines():
            key, _, value = line.partition(":")
            if key == "master_replid":
                return value
        return ""


def _decode_entry(id_: bytes, fields: Reply, part: int | None) -> LogEntry:
    cursor = parse_cursor(id_.decode())
    if part is not None:
        cursor = PartitionCursor(*cursor, part)
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return LogEntry(
        cursor,
        tuple(
            decode_change(field, cursor, int(number))
            for number, field in pairs
            if number.isdigit()  # a bookmark has none
        ),
    )
