"""Log on Redis: a stream, one entry a batch."""

from __future__ import annotations

import asyncio

from herald_monitor.model.changes import Entry, read_change
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.keys import Keys
from herald_monitor.model.vector import Component
from herald_monitor.redis_link import Link, Reply, Word

LONGEST = 3_600.0
"""Seconds that one blocking read lasts at most."""

FIRST = 4
"""Entries that are asked for before it is known how large they are."""

LARGE_BYTES = 64 * 1024
"""Of an entry: to read more of them at once would hold up all else."""

READ_BYTES = 4 * 1024 * 1024
"""Bytes of entries after which no more are read at once. One entry has up to 256
changes, and one change up to 50 KB."""


class RedisLog:
    """The `Log` port on Redis: the whole of it, or that of partition `part`."""

    def __init__(self, link: Link, keys: Keys, part: int | None = None) -> None:
        self._link = link
        self._keys = keys
        self._part = part

    async def end(self) -> Cursor:
        # Kept by the script beside the log: XINFO would bring two whole entries.
        end = await self._link.call("HGET", self._keys.meta, "end")
        return parse_cursor(end.decode()) if end else START

    async def read(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        most: int = 100,
        until: Cursor | None = None,
    ) -> list[Entry]:
        if until is not None:
            if until.n <= after.n:
                return []
            most = min(most, until.n - after.n)
        most, wait = max(most, 1), min(max(wait, 0.0), LONGEST)
        entries: list[Entry] = []
        asked, size = min(FIRST, most), 0
        while asked > 0:
            some = await self._ask(after, asked, 0.0 if entries else wait)
            for id_, fields in some:
                entries.append(_entry(id_, fields, self._part))
                length = sum(map(len, fields))
                size += length
                if length > LARGE_BYTES:
                    # Others are served between two of them.
                    await asyncio.sleep(0)
            if len(some) < asked or size >= READ_BYTES:
                break
            after = entries[-1].cursor
            fitting = (READ_BYTES - size) * len(entries) // max(size, 1)
            asked = min(max(fitting, 1), most - len(entries))
        return entries

    async def _ask(self, after: Cursor, most: int, wait: float) -> Reply:
        """Return what lies behind `after`, as (id, fields) each."""
        words: list[Word] = ["XREAD", "COUNT", most]
        if wait:
            words += ["BLOCK", max(round(wait * 1000), 1)]
        words += ["STREAMS", self._keys.log, f"{after.epoch}-{after.n}"]
        if wait:
            reply = await self._link.wait(wait, *words)
        else:
            reply = await self._link.call(*words)
        return reply[0][1] if reply else []

    async def identity(self) -> str:
        told: bytes = await self._link.call("INFO", "replication")
        for line in told.decode().splitlines():
            key, _, value = line.partition(":")
            if key == "master_replid":
                return value
        return ""


def _entry(id_: bytes, fields: Reply, part: int | None) -> Entry:
    cursor = parse_cursor(id_.decode())
    if part is not None:
        cursor = Component(*cursor, part)
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return Entry(
        cursor,
        tuple(
            read_change(field, cursor, int(number))
            for number, field in pairs
            if number.isdigit()  # a bookmark has none
        ),
    )
