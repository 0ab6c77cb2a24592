"""The numbers of tasks as bits."""

from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.store.redis.bitmaps import (
    ALL_BITS,
    CHUNK_BITS,
    SEGMENT_BITS,
    iter_set_bits,
    list_set_bits,
    make_mask,
    make_mask_below,
    make_segment_mask,
    read_bitmap,
)

PLACES = st.sets(st.integers(0, CHUNK_BITS - 1), max_size=30)


@settings(max_examples=30)
@given(PLACES)
def test_places_come_back_newest_first(places: set[int]) -> None:
    assert list(iter_set_bits(make_mask(places))) == sorted(places, reverse=True)


@settings(max_examples=30)
@given(PLACES)
def test_a_mask_is_read_as_redis_keeps_bits(places: set[int]) -> None:
    bits = bytearray(max(places, default=-8) // 8 + 1)
    for place in places:
        bits[place // 8] |= 128 >> place % 8
    assert read_bitmap(bytes(bits)) == make_mask(places)


@settings(max_examples=20)
@given(st.integers(0, 2**40))
def test_a_segment_is_all_its_numbers(segment: int) -> None:
    first = segment * SEGMENT_BITS % CHUNK_BITS
    assert make_segment_mask(segment) == make_mask(range(first, first + SEGMENT_BITS))


@settings(max_examples=20)
@given(st.integers(0, CHUNK_BITS - 1))
def test_below_is_all_before(place: int) -> None:
    assert make_mask_below(place) == make_mask(range(place))


@settings(max_examples=30)
@given(PLACES)
def test_places_of_a_mask_are_listed_newest_first(places: set[int]) -> None:
    assert list_set_bits(make_mask(places)) == sorted(places, reverse=True)


def test_places_of_dense_masks_are_listed_newest_first() -> None:
    every = list(range(CHUNK_BITS - 1, -1, -1))
    assert list_set_bits(ALL_BITS) == every
    assert list_set_bits(make_mask(every[::3])) == every[::3]
