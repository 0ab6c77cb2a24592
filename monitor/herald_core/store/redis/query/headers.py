"""Headers of stored tasks: their numbers, without their texts."""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.changes import TASK
from herald_core.store.redis.bitmaps import CHUNK_BITS, make_mask
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.encoding.record_codec import (
    HEADER_BYTES,
    RecordHeader,
    decode_header,
)
from herald_core.store.redis.keys import RedisKeys


async def read_headers(
    client: RedisClient, keys: RedisKeys, ids: Sequence[str]
) -> dict[str, RecordHeader]:
    """Return the headers of those of `ids` that are stored, by id."""
    heads = await client.execute_many(
        [("GETRANGE", keys.make_record(TASK, id_), 0, HEADER_BYTES) for id_ in ids]
    )
    return {
        id_: decode_header(head.partition(b"\n")[0])
        for id_, head in zip(ids, heads, strict=True)
        if head
    }


async def find_id_masks(
    client: RedisClient, keys: RedisKeys, ids: Sequence[str]
) -> dict[int, int]:
    """Return the masks of those of `ids` that are stored, by chunk."""
    places: dict[int, list[int]] = {}
    for header in (await read_headers(client, keys, ids)).values():
        chunk, place = divmod(header.number, CHUNK_BITS)
        places.setdefault(chunk, []).append(place)
    return {chunk: make_mask(numbers) for chunk, numbers in places.items()}
