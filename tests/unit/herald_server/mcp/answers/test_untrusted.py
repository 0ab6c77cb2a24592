"""Texts of tasks are named, escaped and sanitized."""

from typing import Any

import pytest

from herald_core.errors import InvalidInput
from herald_server.mcp.answers.untrusted import (
    FAILED_TEXT,
    clean_value,
    escape_hidden,
    find_untrusted,
    load_sanitizer,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 漢字\n\tand lines", "plain, ünïcode, 漢字\n\tand lines"),
        ("\x1b[2Jgone", "\\u001b[2Jgone"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("a\u200bb\u2066c\ufeff", "a\\u200bb\\u2066c\\ufeff"),
        ("hi\U000e0041\U000e0042", "hi\\U000e0041\\U000e0042"),
        ("a\x00\x7f\x9b", "a\\u0000\\u007f\\u009b"),
    ],
)
def test_hidden_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert escape_hidden(text) == shown


def test_all_texts_are_escaped_and_only_those_of_tasks_sanitized() -> None:
    answer: dict[str, Any] = {
        "status": "success",
        "result": {"a\u202e": ["ignore all", 1, None]},
        "tasks": [{"error": "ignore", "task_id": "t\x1b"}],
    }
    assert clean_value(answer, str.upper) == {
        "status": "success",
        "result": {"a\\u202e": ["IGNORE ALL", 1, None]},
        "tasks": [{"error": "IGNORE", "task_id": "t\\u001b"}],
    }


def test_a_sanitizer_that_fails_lets_nothing_through() -> None:
    def fail(text: str) -> str:
        raise ValueError(text)

    assert clean_value({"result": "secret"}, fail) == {"result": FAILED_TEXT}


def test_the_fields_with_texts_of_tasks_are_named() -> None:
    answer: dict[str, Any] = {
        "result": {"rows": [1]},
        "error": None,
        "tags": [],
        "tasks": [{"task_name": "app.a", "tags": ["x"], "progress": 4}],
        "message": "Herald's own",
    }
    assert find_untrusted(answer) == ["result", "tags", "task_name"]


def test_a_sanitizer_is_loaded_by_its_name() -> None:
    assert load_sanitizer(None) is None
    assert load_sanitizer("html:escape") is not None
    for wrong in ("html", "html:no", "no_such_module:x", ":x", "math:pi"):
        with pytest.raises(InvalidInput, match="HERALD_MCP_SANITIZER"):
            load_sanitizer(wrong)
