"""Stored records by their ids, in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.keys import RedisKeys

READ_BATCH = 250
"""Records that are read at once."""


class RecordReader:
    """Reads records as they are stored."""

    def __init__(self, client: RedisClient, keys: RedisKeys) -> None:
        self._client = client
        self._keys = keys

    async def _read_indexed(self, kind: str, index: str) -> list[bytes]:
        """Return all records whose ids are in `index`."""
        return [one async for part in self._iter_batches(kind, index) for one in part]

    async def _iter_batches(self, kind: str, index: str) -> AsyncIterator[list[bytes]]:
        """Yield the records whose ids are in `index`, `READ_BATCH` at a time."""
        members = await self._client.execute("ZRANGE", index, 0, -1)
        ids = [id_.decode() for id_ in members]
        for from_ in range(0, len(ids), READ_BATCH):
            stored = await self._read_stored(kind, ids[from_ : from_ + READ_BATCH])
            yield [one for one in stored if one is not None]

    async def _read_stored(self, kind: str, ids: Sequence[str]) -> list[bytes | None]:
        if not ids:
            return []
        stored: list[bytes | None] = await self._client.execute(
            "MGET", *(self._keys.make_record(kind, id_) for id_ in ids)
        )
        return stored
