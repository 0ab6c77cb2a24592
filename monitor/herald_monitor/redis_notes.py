"""Notes on Redis: a key each that runs out by itself, and a list of each kind."""

from __future__ import annotations

import time

from herald_monitor.model.keys import Keys
from herald_monitor.redis_link import Link, Word

LISTED_FOR = 30 * 86_400
"""Seconds after the last note in which the list of a kind runs out."""


class RedisNotes:
    """The `Notes` port on Redis."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def put_note(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        ms = max(round(seconds * 1000), 1)
        until = time.time() * 1000 + ms
        key, listed = self._keys.note(kind, id_), self._keys.noted(kind)
        put: list[Word] = ["SET", key, text, "PX", ms]
        done = await self._link.calls(
            [
                [*put, "NX"] if new else put,
                # What was not kept is at most listed longer than it lives.
                ["ZADD", listed, "GT", repr(until), id_],
                ["EXPIRE", listed, max(LISTED_FOR, ms // 1000 + 60)],
            ],
            atomic=True,
        )
        if done[0] is not None:
            return True
        # A command whose answer was lost is sent again, and then meets itself.
        return await self.note(kind, id_) == text

    async def note(self, kind: str, id_: str) -> bytes | None:
        found: bytes | None = await self._link.call("GET", self._keys.note(kind, id_))
        return found

    async def notes(self, kind: str) -> dict[str, bytes]:
        listed = self._keys.noted(kind)
        gone = ("ZREMRANGEBYSCORE", listed, "-inf", repr(time.time() * 1000 - 60_000))
        _, found = await self._link.calls([gone, ("ZRANGE", listed, 0, -1)])
        ids = [id_.decode() for id_ in found]
        asked = [("GET", self._keys.note(kind, id_)) for id_ in ids]
        texts = await self._link.calls(asked)
        return {
            id_: text for id_, text in zip(ids, texts, strict=True) if text is not None
        }

    async def noted(self, kind: str) -> list[str]:
        now = repr(time.time() * 1000)
        found: list[bytes] = await self._link.call(
            "ZRANGEBYSCORE", self._keys.noted(kind), now, "+inf"
        )
        return [id_.decode() for id_ in found]

    async def drop_note(self, kind: str, id_: str) -> None:
        await self._link.calls(
            [
                ("DEL", self._keys.note(kind, id_)),
                ("ZREM", self._keys.noted(kind), id_),
            ],
            atomic=True,
        )

    async def add_line(self, kind: str, text: bytes, most: int, seconds: float) -> None:
        book = self._keys.book(kind)
        await self._link.calls(
            [
                ("LPUSH", book, text),
                ("LTRIM", book, 0, most - 1),
                ("PEXPIRE", book, max(round(seconds * 1000), 1)),
            ],
            atomic=True,
        )

    async def lines(self, kind: str, most: int) -> list[bytes]:
        if most <= 0:
            return []
        found: list[bytes] = await self._link.call(
            "LRANGE", self._keys.book(kind), 0, most - 1
        )
        return found
