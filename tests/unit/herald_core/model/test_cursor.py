"""Cursors, records, changes, keys, times: the small rooms of the model."""

import random

import pytest

from herald_core.errors import InvalidCursor
from herald_core.model.cursor import START, Cursor, parse_cursor

# ---- cursors -----------------------------------------------------------------------


def test_a_cursor_is_written_and_read() -> None:
    assert parse_cursor("17-3") == Cursor(17, 3)
    assert str(Cursor(17, 3)) == "17-3"


def test_cursors_compare_by_epoch_then_number() -> None:
    ordered = [START, Cursor(1, 9), Cursor(1, 10), Cursor(2, 0)]
    assert sorted(random.Random(1).sample(ordered, 4)) == ordered


@pytest.mark.parametrize(
    ("cursor", "before", "follows"),
    [
        (Cursor(1, 2), Cursor(1, 1), True),
        (Cursor(1, 3), Cursor(1, 1), False),
        (Cursor(1, 1), Cursor(1, 1), False),
        (Cursor(2, 2), Cursor(1, 1), False),
    ],
)
def test_a_cursor_follows_only_if_nothing_can_lie_between(
    cursor: Cursor, before: Cursor, follows: bool
) -> None:
    assert cursor.is_next_after(before) is follows


NO_CURSORS = ["", "5", "-", "5-", "-5", "a-1", "1-2-3", "1.5-2", "\u0663-\u0664"]


@pytest.mark.parametrize("text", [*NO_CURSORS, "9" * 21 + "-0", " 1-2", "1-+2"])
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="is no cursor; pass back one") as refused:
        parse_cursor(text)
    assert refused.value.param == "since"


def test_a_long_text_that_is_no_cursor_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidCursor) as refused:
        parse_cursor("x" * 10_000)
    assert len(str(refused.value)) < 120


# ---- revs ---------------------------------------------------------------------------


# ---- changes -----------------------------------------------------------------------


# ---- keys --------------------------------------------------------------------------


# ---- times -------------------------------------------------------------------------
