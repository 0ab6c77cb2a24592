"""The ids of tasks by their numbers, read by segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from herald_core.store.redis.bitmaps import SEGMENT_BITS
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.keys import RedisKeys

MAX_SINGLE_IDS = 5
"""Ids of a segment that are read one by one. A segment is a flat list, in which each
of them takes as long as a third of all 128: 3 µs, and all 8 µs."""


def list_id_commands(
    keys: RedisKeys, numbers: Sequence[int], *, numbered: bool = True
) -> tuple[dict[int, list[int]], list[tuple[Word, ...]]]:
    """Return the places of `numbers` by segment, and the commands that read them.

    Of whole segments the replies tell the numbers only if they are to be `numbered`.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        places[number // SEGMENT_BITS].append(number % SEGMENT_BITS)
    commands: list[tuple[Word, ...]] = [
        ("HMGET", keys.make_segment(segment), *wanted)
        if len(wanted) <= MAX_SINGLE_IDS
        else ("HVALS", keys.make_segment(segment))
        if len(wanted) == SEGMENT_BITS and not numbered
        else ("HGETALL", keys.make_segment(segment))
        for segment, wanted in places.items()
    ]
    return places, commands


def decode_ids(
    places: dict[int, list[int]], replies: Sequence[Reply]
) -> list[tuple[int, bytes]]:
    """Return the numbers in use, each with its id, in the order of `places`."""
    found: list[tuple[int, bytes]] = []
    for (segment, wanted), reply in zip(places.items(), replies, strict=True):
        begin = segment * SEGMENT_BITS
        if len(wanted) <= MAX_SINGLE_IDS:
            pairs = zip(wanted, reply, strict=True)
            found += [(begin + place, id_) for place, id_ in pairs if id_ is not None]
        else:
            ids = dict(zip(map(int, reply[::2]), reply[1::2], strict=True))
            found += [(begin + place, ids[place]) for place in wanted if place in ids]
    return found


def select_ids(places: dict[int, list[int]], replies: Sequence[Reply]) -> list[bytes]:
    """Return the ids of `places` that are in use, in no order.

    `replies` are those to commands that are not numbered.
    """
    found: list[bytes] = []
    for wanted, reply in zip(places.values(), replies, strict=True):
        if len(wanted) == SEGMENT_BITS:
            found += reply
        elif len(wanted) <= MAX_SINGLE_IDS:
            found += [id_ for id_ in reply if id_ is not None]
        else:
            ids = dict(zip(map(int, reply[::2]), reply[1::2], strict=True))
            found += [ids[place] for place in wanted if place in ids]
    return found


async def read_ids(
    client: RedisClient, keys: RedisKeys, numbers: Sequence[int]
) -> list[tuple[int, str]]:
    """Return those of `numbers` that are in use, each with its id."""
    places, commands = list_id_commands(keys, numbers)
    replies = await client.execute_many(commands)
    return [(number, id_.decode()) for number, id_ in decode_ids(places, replies)]
