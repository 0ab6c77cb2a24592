"""Ids of tasks by their numbers."""

import pytest

from herald_core.store.redis.bitmaps import SEGMENT_BITS
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.query.number_reader import (
    MAX_SINGLE_IDS,
    decode_ids,
    list_id_commands,
    select_ids,
)

KEYS = RedisKeys("h")


def reply_to(command: tuple[object, ...], stored: dict[int, bytes]) -> list[object]:
    """Answer as the server does for a segment with `stored`."""
    if command[0] == "HVALS":
        return list(stored.values())
    if command[0] == "HGETALL":
        pairs = ((str(place).encode(), id_) for place, id_ in stored.items())
        return [part for pair in pairs for part in pair]
    return [stored.get(int(str(place))) for place in command[2:]]


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("count", [1, MAX_SINGLE_IDS, 40, SEGMENT_BITS])
def test_ids_of_numbers(count: int, numbered: bool) -> None:
    stored = {place: b"id-%d" % place for place in range(0, SEGMENT_BITS, 2)}
    if count == SEGMENT_BITS:
        stored |= {place: b"id-%d" % place for place in range(SEGMENT_BITS)}
    numbers = [3 * SEGMENT_BITS - 1 - number for number in range(count)]
    places, commands = list_id_commands(KEYS, numbers, numbered=numbered)
    replies = [reply_to(command, stored) for command in commands]
    expected = [
        (number, stored[number % SEGMENT_BITS])
        for number in numbers
        if number % SEGMENT_BITS in stored
    ]
    if numbered:
        assert decode_ids(places, replies) == expected
    else:
        assert sorted(select_ids(places, replies)) == sorted(id_ for _, id_ in expected)
