"""Stored records by their ids, in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import chain, islice

from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.keys import RedisKeys

READ_BATCH = 250
"""Records that are read at once."""

COMMAND_KEYS = 16
"""Keys of one command. Valkey fetches the memory of so many keys of waiting commands
ahead (`prefetch-batch-max-size`): a record then takes half the time."""


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
        [ids] = await self._read_ids([index])
        for from_ in range(0, len(ids), READ_BATCH):
            stored = await self._read_stored(kind, ids[from_ : from_ + READ_BATCH])
            yield [one for one in stored if one is not None]

    async def _read_ids(self, indexes: Sequence[str]) -> list[list[str]]:
        """Return the ids in each of `indexes`, at one moment."""
        commands = [("ZRANGE", index, 0, -1) for index in indexes]
        found = await self._client.execute_many(commands)
        return [[id_.decode() for id_ in members] for members in found]

    async def _read_groups(
        self, *groups: tuple[str, Sequence[str]]
    ) -> list[list[bytes]]:
        """Return the records of each kind and its ids; the first kind is read first."""
        commands = [
            list_commands([self._keys.make_record(kind, id_) for id_ in ids])
            for kind, ids in groups
        ]
        replies = iter(await self._client.execute_many([*chain(*commands)]))
        return [
            [one for one in join_records([*islice(replies, len(part))]) if one]
            for part in commands
        ]

    async def _read_stored(self, kind: str, ids: Sequence[str]) -> list[bytes | None]:
        keys = [self._keys.make_record(kind, id_) for id_ in ids]
        return join_records(await self._client.execute_many(list_commands(keys)))


def list_commands(keys: Sequence[Word]) -> list[tuple[Word, ...]]:
    """Return the commands that read the records at `keys`."""
    return [
        ("MGET", *keys[from_ : from_ + COMMAND_KEYS])
        for from_ in range(0, len(keys), COMMAND_KEYS)
    ]


def join_records(replies: Sequence[Reply]) -> list[bytes | None]:
    """Return the records of the replies to `list_commands`, None where is none."""
    return [stored for reply in replies for stored in reply]
