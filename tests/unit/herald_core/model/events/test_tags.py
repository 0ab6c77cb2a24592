"""Tags and stamps are read as far as they are valid, and limited."""

import pytest

from herald_core.model.events.redaction import Redactor
from herald_core.model.events.tags import decode_stamps, read_stamps, read_tags


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["user:42", "a", "a"], ("a", "user:42")),
        ("alone", ("alone",)),
        (["", "x" * 65, "a\x1fb", "a\nb", 5, None, "ä"], ("ä",)),
        ([f"t{n:02}" for n in range(25)], tuple(f"t{n:02}" for n in range(20))),
        ([], None),
        ({"a": "b"}, None),
        (None, None),
    ],
)
def test_valid_tags_are_read_and_sorted(
    given: object, read: tuple[str, ...] | None
) -> None:
    assert read_tags(given) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"b": ["y", "x", "x"], "a": "one"}, {"a": ("one",), "b": ("x", "y")}),
        (
            {"n": [5], "s": {"not": "a list"}, "": ["a"], "long": ["x" * 65]},
            {"n": ("5",)},
        ),
        ({"api_token": ["abc"]}, {"api_token": ("[redacted]",)}),
        ({f"s{n:02}": "a" for n in range(25)}, {f"s{n:02}": ("a",) for n in range(20)}),
        ({}, None),
        (["a"], None),
        ("text", None),
    ],
)
def test_valid_stamps_are_read_without_secrets(
    given: object, read: dict[str, tuple[str, ...]] | None
) -> None:
    stored = read_stamps(given, Redactor())
    assert (None if stored is None else decode_stamps(stored)) == read


def test_the_same_stamps_are_stored_as_the_same_text() -> None:
    assert read_stamps({"a": ["1", "2"], "b": 3}) == read_stamps(
        {"b": "3", "a": ["2", "1"]}
    )
