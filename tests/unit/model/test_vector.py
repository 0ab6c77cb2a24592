"""Cursors of several logs are compared like those of one, as far as they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_monitor.errors import BadCursor
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.vector import Component, Vector, parse_any_cursor, vector_of

places = st.builds(Cursor, st.integers(0, 2), st.integers(0, 3))
vectors = st.lists(places, min_size=3, max_size=3).map(Vector)


@given(vectors, vectors)
def test_what_lacks_something_is_behind(a: Vector, b: Vector) -> None:
    lacks = any(x < y for x, y in zip(a.parts, b.parts, strict=True))
    assert (a < b, a >= b) == (lacks, not lacks)
    assert (b > a) == (not b <= a)


@given(vectors, places, st.integers(0, 2))
def test_a_component_is_compared_with_its_own_place(
    vector: Vector, place: Cursor, part: int
) -> None:
    component, own = Component(*place, part), vector.parts[part]
    assert (component > vector) == (place > own)
    assert (component <= vector) == (place <= own)
    assert (vector >= component) == (own >= place)


@given(vectors)
def test_it_is_read_back_as_it_was_written(vector: Vector) -> None:
    assert parse_any_cursor(str(vector)) == vector
    assert hash(parse_any_cursor(str(vector))) == hash(vector)


def test_an_entry_moves_one_partition_by_one() -> None:
    before = Vector([Cursor(5, 1), Cursor(6, 9)])
    assert before.at(1, Cursor(6, 10)).follows(before)
    assert not before.at(1, Cursor(6, 11)).follows(before)
    assert not before.at(1, Cursor(7, 10)).follows(before)
    assert not before.at(0, Cursor(5, 2)).at(1, Cursor(6, 10)).follows(before)
    assert not before.follows(before)


def test_its_number_grows_by_one_with_each_entry() -> None:
    one = Vector([START, Cursor(6, 0)])
    assert (one.n, one.at(0, Cursor(5, 0)).n, one.at(1, Cursor(6, 1)).n) == (0, 1, 1)


def test_before_everything_it_equals_the_start() -> None:
    assert Vector([START, START]) == START
    assert vector_of(START, 2) == Vector([START, START])
    assert Vector([START, Cursor(1, 0)]) != START


def test_what_another_number_of_partitions_said_is_not_ahead_but_of_another_epoch() -> (
    None
):
    vector, other = Vector([Cursor(5, 1)] * 2), Vector([Cursor(9, 9)] * 3)
    for foreign in (other, Cursor(9, 9)):
        assert not foreign > vector
        assert foreign.epoch != vector.epoch
        assert vector_of(foreign, 2) is None


@pytest.mark.parametrize(
    "text", ["", "_", "1-2_", "1-2_x", "1-2~", "1-2~x", "1-2~9999"]
)
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        parse_any_cursor(text)
