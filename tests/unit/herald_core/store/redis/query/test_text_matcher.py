"""Texts in stored records, many at once."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from herald_core.errors import StoreError
from herald_core.store.redis.encoding.record_codec import (
    BATCH_BODY_BYTES,
    encode_record,
)
from herald_core.store.redis.query.text_matcher import FOLDED_TO_ASCII, TextMatcher


def record(*texts: str, small: bool = False) -> bytes:
    return b"1-1.0 5 17 0\n" + encode_record(texts, small)


RECORDS = [
    record("Order 12345", "Köln"),
    record("order 99", small=True),
    record("x" * 700, "ORDER 12345"),
    record("nothing", small=True),
]


@pytest.mark.parametrize(
    ("needles", "places"),
    [
        ((), [0, 1, 2, 3]),
        ((("order",),), [0, 1, 2]),
        ((("order",), ("12345",)), [0, 2]),
        ((("12345", "nothing"),), [0, 2, 3]),
        ((("köln",),), [0]),
        ((("order",), ("köln",)), [0]),
        ((("absent",),), []),
    ],
)
def test_records_that_hold_all_texts(
    needles: tuple[tuple[str, ...], ...], places: list[int]
) -> None:
    assert TextMatcher(needles).select(RECORDS) == places


def test_a_text_does_not_reach_over_two_records() -> None:
    assert TextMatcher([("ab",)]).select([record("a"), record("b")]) == []


def test_records_of_many_bytes_are_searched_in_parts() -> None:
    long = "y" * (BATCH_BODY_BYTES // 2)
    records = [record(long, f"n{number}.") for number in range(7)]
    assert TextMatcher([("n5.", "n0.")]).select(records) == [0, 5]


@pytest.mark.parametrize("body", [b"sgarbage", b"s(\xb5/\xfd\x20\x05garba"])
def test_a_record_of_another_version_is_refused(body: bytes) -> None:
    with pytest.raises(StoreError, match="not of this version"):
        TextMatcher([("a",)]).select([b"1-1.0 5 17 0\n" + body])


def test_no_records_hold_nothing() -> None:
    assert TextMatcher([("a",)]).select([]) == []


LETTERS = (
    "aAkKiIsS1 _\\'\"\n\0\x7fßẞäÄéÉ漢😀İ\u0131\u017f\u0307\u03a3\u03c3\u03c2\u212a"
)
"""Letters whose case is special, and what MessagePack or a `repr` might change."""

texts = st.text(alphabet=LETTERS, max_size=12)


@given(
    st.lists(texts, max_size=6), st.lists(texts.filter(bool), min_size=1, max_size=3)
)
@example(["\u212aelvin"], ["k"])
@example(["İ"], ["i"])
@example(["ab\u03a3"], ["ab\u03a3"])
def test_no_text_that_matches_is_lost(stored: list[str], words: list[str]) -> None:
    """What `TextTerm` finds in a text, the bytes of its record have too."""
    needle = tuple(word.lower() for word in words)
    expected = [
        place
        for place, text in enumerate(stored)
        if any(word in text.lower() for word in needle)
    ]
    records = [record(text, "A", small=len(text) % 2 > 0) for text in stored]
    assert set(expected) <= set(TextMatcher([needle]).select(records))
    both = TextMatcher([needle, (needle[0],)]).select(records)
    assert {place for place in expected if needle[0] in stored[place].lower()} <= set(
        both
    )


def test_letters_that_become_ascii_are_all_known() -> None:
    letters = map(chr, range(128, sys.maxunicode + 1))
    found = [one for one in letters if any(map(str.isascii, one.lower()))]
    assert sorted(found) == sorted(FOLDED_TO_ASCII)
