"""The number of a task, and bits over numbers.

The store numbers tasks in the order in which it first heard of them: 0, 1, 2 and
so on. Indexes hold numbers: most are one bit a task, in chunks of 4,096 numbers;
ids lie beside them in segments of 128. A mask is the bits of one chunk as an int
whose lowest bit is the chunk's last number, so that the newest comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CHUNK = 4_096
SEGMENT = 128

NONE = -1
"""The number of what has none: a task that is not stored yet, a worker."""

EVERY = (1 << CHUNK) - 1
"""The mask of all numbers of a chunk."""


def mask_of(stored: bytes | None) -> int:
    """Return the mask of a chunk's bits as Redis keeps them: the first is highest."""
    if not stored:
        return 0
    return int.from_bytes(stored, "big") << (CHUNK - 8 * len(stored))


def mask_of_places(places: Iterable[int]) -> int:
    """Return the mask of these places in a chunk."""
    mask = 0
    for place in places:
        mask |= 1 << (CHUNK - 1 - place)
    return mask


def masks_of_numbers(numbers: Iterable[int]) -> dict[int, int]:
    """Return the masks of these numbers, by chunk: of many, faster than by places."""
    bits: dict[int, bytearray] = {}
    for number in numbers:
        chunk, place = divmod(number, CHUNK)
        held = bits.get(chunk)
        if held is None:
            held = bits[chunk] = bytearray(CHUNK // 8)
        held[place >> 3] |= 128 >> (place & 7)
    return {chunk: int.from_bytes(held, "big") for chunk, held in bits.items()}


def mask_of_segment(segment: int) -> int:
    """Return the mask of all numbers of a segment in its chunk."""
    place = segment * SEGMENT % CHUNK
    return ((1 << SEGMENT) - 1) << (CHUNK - place - SEGMENT)


def below(place: int) -> int:
    """Return the mask of all places before `place`."""
    left = CHUNK - place
    return EVERY >> left << left


def places_in(mask: int) -> Iterator[int]:
    """Yield the places of `mask`, the newest first."""
    while mask:
        lowest = mask & -mask
        yield CHUNK - lowest.bit_length()
        mask ^= lowest
