"""Texts in stored records, many at once."""

import pytest

from herald_core.errors import StoreError
from herald_core.store.redis.encoding.record_codec import (
    BATCH_BODY_BYTES,
    encode_record,
)
from herald_core.store.redis.query.text_matcher import TextMatcher


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
