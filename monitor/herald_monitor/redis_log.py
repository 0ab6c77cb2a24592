"""Log on Redis: a stream, one entry a batch."""

from __future__ import annotations

from herald_monitor.model.changes import Entry, read_change
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.keys import Keys
from herald_monitor.model.vector import Component
from herald_monitor.redis_link import Link, Reply, Word

LONGEST = 3_600.0
"""Seconds that one blocking read lasts at most."""


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
        words: list[Word] = ["XREAD", "COUNT", max(most, 1)]
        wait = min(max(wait, 0.0), LONGEST)
        if wait:
            words += ["BLOCK", max(round(wait * 1000), 1)]
        words += ["STREAMS", self._keys.log, f"{after.epoch}-{after.n}"]
        if wait:
            reply = await self._link.wait(wait, *words)
        else:
            reply = await self._link.call(*words)
        if not reply:
            return []
        return [_entry(id_, fields, self._part) for id_, fields in reply[0][1]]

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
