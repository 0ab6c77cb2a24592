"""The short forms of answers."""

from typing import Any

import pytest

from herald_server.mcp.answers.short import (
    FULL,
    cut_text,
    cut_time,
    remove_nulls,
    shorten_task,
)


def test_long_texts_are_cut() -> None:
    assert cut_text(None) is None
    assert cut_text("abc", 3) == "abc"
    assert cut_text("abcd", 3) == "ab…"


@pytest.mark.parametrize(
    ("at", "short"),
    [
        ("2026-01-31T12:00:00.123Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.123+01:00", "2026-01-31T12:00:00.123+01:00"),
        (None, None),
    ],
)
def test_times_lose_the_fraction_of_a_second(at: str | None, short: str | None) -> None:
    assert cut_time(at) == short
    assert cut_time(at, FULL) == at


def test_nulls_leave_the_rows_alone() -> None:
    told: dict[str, Any] = {
        "next": None,
        "tasks": [{"a": None, "b": 0, "tags": [], "in": {"c": None}}],
        "mark": {"until": None},
    }
    assert remove_nulls(told) == {
        "next": None,
        "tasks": [{"b": 0, "in": {}}],
        "mark": {"until": None},
    }


def test_a_changed_task_is_told_in_short() -> None:
    view = {
        "id": "t",
        "state": "FAILURE",
        "args": "(1, 2)",
        "exception": "x" * 500,
        "updated_at": "2026-01-31T12:00:00.123Z",
        "tags": [str(n) for n in range(9)],
        "worker": None,
    }
    row = shorten_task(view)
    assert row.keys() == {"id", "state", "exception", "updated_at", "tags"}
    assert (len(row["exception"]), len(row["tags"])) == (160, 5)
    assert row["updated_at"] == "2026-01-31T12:00:00Z"
