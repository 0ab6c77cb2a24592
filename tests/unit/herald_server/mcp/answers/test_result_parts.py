"""Parts of results: by JSON Pointer, then by characters."""

from typing import Any

import pytest

from herald_core.errors import InvalidInput
from herald_server.mcp.answers.result_parts import cut_part, get_kind, select_value

RESULT: dict[str, Any] = {"rows": [{"name": "a"}, {"na/me": "b"}], "n": 3}


@pytest.mark.parametrize(
    ("path", "value"),
    [("", RESULT), ("/rows/0/name", "a"), ("/rows/1/na~1me", "b"), ("/n", 3)],
)
def test_a_pointer_selects_a_part(path: str, value: object) -> None:
    assert select_value(RESULT, path) == value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("rows", "must be a JSON Pointer"),
        ("/rows/2", "/rows has 2 items, counted from 0"),
        ("/rows/x", "counted from 0"),
        ("/row", "the result has no key 'row'; its keys: rows, n"),
        ("/n/x", "/n is a number and has no parts"),
    ],
)
def test_a_pointer_to_nothing_is_told_what_there_is(path: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        select_value(RESULT, path)


def test_a_small_value_is_whole() -> None:
    part = cut_part([1, 2], 0, 100)
    assert part == {"kind": "array", "length": 5, "items": 2, "value": [1, 2]}


def test_a_large_value_is_read_on_from_its_offset() -> None:
    text, at, parts = "", 0, 0
    whole = {f"key-{n}": n for n in range(100)}
    while True:
        part = cut_part(whole, at, 200)
        assert len(part["keys"]) == 50
        text, parts = text + part["text"], parts + 1
        if part["next"] is None:
            break
        at = part["next"]
    assert text.startswith('{"key-0":0')
    assert (len(text), parts) == (part["length"], -(-part["length"] // 200))


def test_kinds_are_those_of_json() -> None:
    values: list[object] = [None, True, 1, 1.5, "a", [], {}, b""]
    kinds = [get_kind(one) for one in values]
    assert kinds == [
        *("null", "boolean", "number", "number"),
        *("string", "array", "object", "unknown"),
    ]
