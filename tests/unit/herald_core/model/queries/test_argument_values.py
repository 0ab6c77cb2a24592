"""Values out of the text of arguments: exact, or none at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.queries.argument_values import MAX_PARTS, find_argument

KWARGS = (
    "{'order_id': 12345, 'who': 'O\\'Brien, x', \"it's\": b'raw', "
    "'at': datetime.datetime(2026, 1, 1), 'to': {'city': 'Bonn', 'zip': ['5', 3]}, "
    "'obj': <Foo a='1', b=2>, 'key': UUID('6f-1'), 'none': None}"
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("order_id",), "12345"),
        (("who",), "O'Brien, x"),
        (("it's",), "raw"),
        (("at",), "datetime.datetime(2026, 1, 1)"),
        (("to", "city"), "Bonn"),
        (("to", "zip", "1"), "3"),
        (("to", "zip", "2"), None),
        (("obj",), "<Foo a='1', b=2>"),
        (("key",), "6f-1"),
        (("none",), "None"),
        (("absent",), None),
        (("order_id", "deeper"), None),
        (("absent", "deeper"), None),
    ],
)
def test_value_at_a_path_of_keyword_arguments(
    path: tuple[str, ...], value: str | None
) -> None:
    assert find_argument(KWARGS, path) == value


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("(12345, 'a')", ("0",), "12345"),
        ("('a',)", ("0",), "a"),
        ("[1, [2, 3]]", ("1", "1"), "3"),
        ("()", ("0",), None),
        ("(1, 2)", ("x",), None),
        (None, ("0",), None),
        ("", ("0",), None),
    ],
)
def test_place_in_positional_arguments(
    text: str | None, path: tuple[str, ...], value: str | None
) -> None:
    assert find_argument(text, path) == value


@pytest.mark.parametrize(
    "text",
    [
        "{'order_id': 123",
        "{'order_id': '12345",
        "{'order_id': 12… (9000 characters)",
        "{'order_id': '123...'}",
        "{'order_id': '[redacted]'}",
        "{'order_id': [redacted]}",
        "{'order_id': (1]}",
        "{'order_id': '\\x'}",
        "{'order_id' 12345}",
        "{1: 2}",
        "{*, 'order_id'}",
    ],
)
def test_what_is_truncated_redacted_or_broken_has_no_value(text: str) -> None:
    assert find_argument(text, ("order_id",)) is None


def test_complete_values_before_a_truncated_one_are_known() -> None:
    text = "{'a': 1, 'b': [1, 2], 'c': '12"
    assert find_argument(text, ("a",)) == "1"
    assert find_argument(text, ("b",)) == "[1, 2]"
    assert find_argument(text, ("c",)) is None


def test_work_on_one_text_is_bounded() -> None:
    text = "{" + "'a': 1, " * MAX_PARTS + "'order_id': 2}"
    assert find_argument(text, ("order_id",)) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_each_value_of_a_dict_is_found_by_its_key(given_: dict[str, object]) -> None:
    for key, value in given_.items():
        found = find_argument(repr(given_), (key,))
        shown = value if isinstance(value, str) else repr(value)
        if not shown.endswith(("...", "…")):
            assert found == shown


@given(st.text(max_size=60), st.sampled_from(["a", "0"]))
def test_any_text_is_read_without_an_error(text: str, step: str) -> None:
    for begin in ("{'a': ", "(", "", "{"):
        find_argument(begin + text, (step, step))
