"""Records as bytes, and the numbers of tasks as bits."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_monitor.errors import StoreError
from herald_monitor.model.numbers import (
    CHUNK,
    SEGMENT,
    below,
    mask_of,
    mask_of_places,
    mask_of_segment,
    places_in,
)
from herald_monitor.model.tasks import Task
from herald_monitor.records import PACK_ABOVE, Head, pack, unpack
from tests.unit.model.words import known, say, tasks

decoder = msgspec.msgpack.Decoder(Task)
HEAD = Head("1-2.0+3", 4113, "99", "100")


@settings(max_examples=50)
@given(tasks, st.booleans())
def test_a_task_comes_back_as_it_was(task: Task, small: bool) -> None:
    stored = " ".join(map(str, HEAD)).encode() + b"\n" + pack(task, small)
    assert unpack(stored, decoder) == (HEAD, task)


def test_a_long_record_is_packed_and_a_short_one_if_it_is_wanted() -> None:
    short = known([say("received", 1, args="x" * 10)])
    long = known([say("received", 1, args="x" * PACK_ABOVE)])
    assert (pack(short)[:1], pack(short, small=True)[:1]) == (b"m", b"s")
    assert pack(long)[:1] == b"s"
    assert len(pack(short, small=True)) < len(pack(short))


def test_a_head_of_before_is_read() -> None:
    task = known([say("received", 1)])
    assert unpack(b"1-2.0 99.5\n" + pack(task), decoder) == (
        Head("1-2.0", -1, "99.5", "0"),
        task,
    )


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"1-2.0 9",
        b"1-2.0\nm\x90",
        b"1-2.0 9 9\nm\x90",
        b"1-2.0 9\n",
        b"1-2.0 9\nx...",
        b"1-2.0 9\nm",
        b"1-2.0 9\nm\xc1",
        b"1-2.0 9\nm\x01",
        b"1-2.0 9\nzzz",
        b"1-2.0 9\nsss",
        b"\xff 9\nzzz",
    ],
)
def test_a_record_of_another_making_is_refused_with_a_sentence(stored: bytes) -> None:
    with pytest.raises(StoreError, match="not of this version of Herald"):
        unpack(stored, decoder)


PLACES = st.sets(st.integers(0, CHUNK - 1), max_size=30)


@settings(max_examples=30)
@given(PLACES)
def test_places_come_back_newest_first(places: set[int]) -> None:
    assert list(places_in(mask_of_places(places))) == sorted(places, reverse=True)


@settings(max_examples=30)
@given(PLACES)
def test_a_mask_is_read_as_redis_keeps_bits(places: set[int]) -> None:
    bits = bytearray(max(places, default=-8) // 8 + 1)
    for place in places:
        bits[place // 8] |= 128 >> place % 8
    assert mask_of(bytes(bits)) == mask_of_places(places)


@settings(max_examples=20)
@given(st.integers(0, 2**40))
def test_a_segment_is_all_its_numbers(segment: int) -> None:
    first = segment * SEGMENT % CHUNK
    assert mask_of_segment(segment) == mask_of_places(range(first, first + SEGMENT))


@settings(max_examples=20)
@given(st.integers(0, CHUNK - 1))
def test_below_is_all_before(place: int) -> None:
    assert below(place) == mask_of_places(range(place))
