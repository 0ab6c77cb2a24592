"""The number of a task, and bits over numbers.

The store numbers tasks in the order of their first arrival: 0, 1, 2 and so on. Indexes
hold numbers. Most are one bit a task, in chunks of 4,096 numbers; ids are stored in
segments of 128. A mask is the bits of one chunk as an int. Its lowest bit is the
chunk's last number, so that the newest comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CHUNK_BITS = 4_096
SEGMENT_BITS = 128


ALL_BITS = (1 << CHUNK_BITS) - 1
"""The mask of all numbers of a chunk."""


def read_bitmap(stored: bytes | None) -> int:
    """Return the mask of a chunk's bits as Redis stores them: the first is highest."""
    if not stored:
        return 0
    return int.from_bytes(stored, "big") << (CHUNK_BITS - 8 * len(stored))


def make_mask(places: Iterable[int]) -> int:
    """Return the mask of these places in a chunk."""
    mask = 0
    for place in places:
        mask |= 1 << (CHUNK_BITS - 1 - place)
    return mask


def make_chunk_masks(numbers: Iterable[int]) -> dict[int, int]:
    """Return the masks of these numbers, by chunk: of many, faster than by places."""
    bits: dict[int, bytearray] = {}
    for number in numbers:
        chunk, place = divmod(number, CHUNK_BITS)
        held = bits.get(chunk)
        if held is None:
            held = bits[chunk] = bytearray(CHUNK_BITS // 8)
        held[place >> 3] |= 128 >> (place & 7)
    return {chunk: int.from_bytes(held, "big") for chunk, held in bits.items()}


def make_segment_mask(segment: int) -> int:
    """Return the mask of all numbers of a segment in its chunk."""
    place = segment * SEGMENT_BITS % CHUNK_BITS
    return ((1 << SEGMENT_BITS) - 1) << (CHUNK_BITS - place - SEGMENT_BITS)


def make_mask_below(place: int) -> int:
    """Return the mask of all places before `place`."""
    left = CHUNK_BITS - place
    return ALL_BITS >> left << left


def iter_set_bits(mask: int) -> Iterator[int]:
    """Yield the places of `mask`, the newest first."""
    while mask:
        lowest = mask & -mask
        yield CHUNK_BITS - lowest.bit_length()
        mask ^= lowest


def list_set_bits(mask: int) -> list[int]:
    """Return the places of `mask`, the newest first: faster than one by one."""
    if mask == ALL_BITS:
        return list(range(CHUNK_BITS - 1, -1, -1))
    if mask.bit_count() < CHUNK_BITS // 32:
        return list(iter_set_bits(mask))
    bits = format(mask, f"0{CHUNK_BITS}b")
    return [place for place in range(CHUNK_BITS - 1, -1, -1) if bits[place] == "1"]
