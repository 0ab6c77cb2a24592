"""Notes on Redis: a key each that runs out by itself, and a list of each kind."""

from __future__ import annotations

import time

from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Word
from herald_core.store.redis.keys import RedisKeys

LIST_TTL_S = 30 * 86_400
"""Seconds after the last note in which the list of a kind runs out."""


class RedisKeyValueStore:
    """The `KeyValueStore` port on Redis."""

    def __init__(self, link: RedisClient, keys: RedisKeys) -> None:
        self._client = link
        self._keys = keys

    async def put_item(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        ms = max(round(seconds * 1000), 1)
        until = time.time() * 1000 + ms
        key, listed = self._keys.make_item(kind, id_), self._keys.make_item_ids(kind)
        put: list[Word] = ["SET", key, text, "PX", ms]
        done = await self._client.execute_many(
            [
                [*put, "NX"] if new else put,
                # An item that was not stored is at most listed longer than it lives.
                ["ZADD", listed, "GT", repr(until), id_],
                ["EXPIRE", listed, max(LIST_TTL_S, ms // 1000 + 60)],
            ],
            atomic=True,
        )
        if done[0] is not None:
            return True
        # A command whose answer was lost is sent again, and then finds its own item.
        return await self.get_item(kind, id_) == text

    async def get_item(self, kind: str, id_: str) -> bytes | None:
        found: bytes | None = await self._client.execute(
            "GET", self._keys.make_item(kind, id_)
        )
        return found

    async def get_items(self, kind: str) -> dict[str, bytes]:
        listed = self._keys.make_item_ids(kind)
        gone = ("ZREMRANGEBYSCORE", listed, "-inf", repr(time.time() * 1000 - 60_000))
        _, found = await self._client.execute_many([gone, ("ZRANGE", listed, 0, -1)])
        ids = [id_.decode() for id_ in found]
        commands = [("GET", self._keys.make_item(kind, id_)) for id_ in ids]
        texts = await self._client.execute_many(commands)
        return {
            id_: text for id_, text in zip(ids, texts, strict=True) if text is not None
        }

    async def list_items(self, kind: str) -> list[str]:
        now = repr(time.time() * 1000)
        found: list[bytes] = await self._client.execute(
            "ZRANGEBYSCORE", self._keys.make_item_ids(kind), now, "+inf"
        )
        return [id_.decode() for id_ in found]

    async def delete_item(self, kind: str, id_: str) -> None:
        await self._client.execute_many(
            [
                ("DEL", self._keys.make_item(kind, id_)),
                ("ZREM", self._keys.make_item_ids(kind), id_),
            ],
            atomic=True,
        )

    async def push_line(
        self, kind: str, text: bytes, limit: int, seconds: float
    ) -> None:
        book = self._keys.make_list(kind)
        await self._client.execute_many(
            [
                ("LPUSH", book, text),
                ("LTRIM", book, 0, limit - 1),
                ("PEXPIRE", book, max(round(seconds * 1000), 1)),
            ],
            atomic=True,
        )

    async def read_lines(self, kind: str, limit: int) -> list[bytes]:
        if limit <= 0:
            return []
        found: list[bytes] = await self._client.execute(
            "LRANGE", self._keys.make_list(kind), 0, limit - 1
        )
        return found
