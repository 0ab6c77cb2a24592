"""Cursors of several logs are compared like those of one, as far as they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidCursor
from herald_core.model.cursor import START, Cursor
from herald_core.model.vector_cursor import (
    PartitionCursor,
    VectorCursor,
    parse_any_cursor,
    to_vector,
)

places = st.builds(Cursor, st.integers(0, 2), st.integers(0, 3))
vectors = st.lists(places, min_size=3, max_size=3).map(VectorCursor)


@given(vectors, vectors)
def test_what_lacks_something_is_behind(a: VectorCursor, b: VectorCursor) -> None:
    lacks = any(x < y for x, y in zip(a.parts, b.parts, strict=True))
    assert (a < b, a >= b) == (lacks, not lacks)
    assert (b > a) == (not b <= a)


@given(vectors, places, st.integers(0, 2))
def test_a_component_is_compared_with_its_own_place(
    vector: VectorCursor, place: Cursor, part: int
) -> None:
    component, own = PartitionCursor(*place, part), vector.parts[part]
    assert (component > vector) == (place > own)
    assert (component <= vector) == (place <= own)
    assert (vector >= component) == (own >= place)


@given(vectors)
def test_it_is_read_back_as_it_was_written(vector: VectorCursor) -> None:
    assert parse_any_cursor(str(vector)) == vector
    assert hash(parse_any_cursor(str(vector))) == hash(vector)


def test_an_entry_moves_one_partition_by_one() -> None:
    before = VectorCursor([Cursor(5, 1), Cursor(6, 9)])
    assert before.advance(1, Cursor(6, 10)).is_next_after(before)
    assert not before.advance(1, Cursor(6, 11)).is_next_after(before)
    assert not before.advance(1, Cursor(7, 10)).is_next_after(before)
    assert (
        not before.advance(0, Cursor(5, 2))
        .advance(1, Cursor(6, 10))
        .is_next_after(before)
    )
    assert not before.is_next_after(before)


def test_its_number_grows_by_one_with_each_entry() -> None:
    one = VectorCursor([START, Cursor(6, 0)])
    assert (one.n, one.advance(0, Cursor(5, 0)).n, one.advance(1, Cursor(6, 1)).n) == (
        0,
        1,
        1,
    )


def test_before_everything_it_equals_the_start() -> None:
    assert VectorCursor([START, START]) == START
    assert to_vector(START, 2) == VectorCursor([START, START])
    assert VectorCursor([START, Cursor(1, 0)]) != START


def test_what_another_number_of_partitions_said_is_not_ahead_but_of_another_epoch() -> (
    None
):
    vector, other = VectorCursor([Cursor(5, 1)] * 2), VectorCursor([Cursor(9, 9)] * 3)
    for foreign in (other, Cursor(9, 9)):
        assert not foreign > vector
        assert foreign.epoch != vector.epoch
        assert to_vector(foreign, 2) is None


@pytest.mark.parametrize(
    "text", ["", "_", "1-2_", "1-2_x", "1-2~", "1-2~x", "1-2~9999"]
)
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_any_cursor(text)


@given(vectors, places, st.integers(0, 2))
def test_a_component_and_a_vector_compare_from_both_sides(
    vector: VectorCursor, place: Cursor, part: int
) -> None:
    component, own = PartitionCursor(*place, part), vector.parts[part]
    assert (component < vector) == (place < own)
    assert (component >= vector) == (place >= own)
    assert (vector <= component) == (own <= place)


def test_components_of_one_log_compare_as_its_places_do() -> None:
    first, second = PartitionCursor(5, 1, 0), PartitionCursor(5, 2, 0)
    assert (first < second, first <= second) == (True, True)
    assert (first > second, first >= second) == (False, False)


def test_a_component_of_a_partition_that_is_not_there_is_behind() -> None:
    vector = VectorCursor([Cursor(5, 1)])
    assert vector >= PartitionCursor(9, 9, 7)
    assert not vector <= PartitionCursor(9, 9, 7)


def test_a_component_is_read_back_as_it_was_written() -> None:
    component = PartitionCursor(5, 1, 2)
    assert str(component) == "5-1~2"
    read = parse_any_cursor(str(component))
    assert isinstance(read, PartitionCursor)
    assert (read, read.part) == (component, 2)


def test_a_vector_is_shown_with_its_places() -> None:
    assert repr(VectorCursor([Cursor(5, 1), START])) == f"Vector(5-1_{START})"


def test_every_place_is_behind_the_start_and_follows_no_other_store() -> None:
    vector = VectorCursor([Cursor(5, 1), START])
    assert vector >= START
    assert not vector.is_next_after(VectorCursor([Cursor(5, 0)]))
