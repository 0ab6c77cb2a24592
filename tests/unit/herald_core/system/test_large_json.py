"""A large value is shown piece by piece as it is shown at once."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.system.large_json import PIECE_CHARS, LargeJson

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def shown(value: Any) -> str:
    return repr(LargeJson(msgspec.Raw(msgspec.json.encode(value))))


@settings(max_examples=50)
@given(VALUES)
def test_it_is_the_repr_of_the_value(value: Any) -> None:
    text = msgspec.json.encode(
        [value, "x" * PIECE_CHARS, {"a": value, "b": "x" * PIECE_CHARS}]
    )
    assert repr(LargeJson(msgspec.Raw(text))) == repr(msgspec.json.decode(text))


def test_blanks_between_items_do_not_matter() -> None:
    value = [{"a": [1, 2, {"b": None}]}] * 1_000
    for indent in (None, 1):
        text = json.dumps(value, indent=indent).encode()
        assert repr(LargeJson(msgspec.Raw(text))) == repr(value)


@pytest.mark.parametrize("depth", [10, 100, 500])
def test_however_deep_it_is_its_time_is_bounded(depth: int) -> None:
    value: Any = ["x" * 10] * 50_000
    for _ in range(depth):
        value = [value]
    begun = time.thread_time()
    assert shown(value) == repr(value)
    assert time.thread_time() - begun < 1.0
