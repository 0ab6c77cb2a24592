"""The text of one notice, and of many."""

import pytest

from herald_core.model.alerts.alert import AlertNotice
from herald_server.alerts.text import MAX_LISTED, REPEAT_NOTE, compose_text

AT = "2026-01-01T00:00:00.000Z"


def make(type_: str, severity: str = "warning", message: str = "m") -> AlertNotice:
    return AlertNotice("id", type_, AT, "Queue q is too old", message, severity)


@pytest.mark.parametrize(
    ("notice", "title", "type_"),
    [
        (make("fired"), "Queue q is too old", "warning"),
        (make("fired", "critical"), "Queue q is too old", "failure"),
        (make("repeated", "info"), "Still: Queue q is too old", "info"),
        (make("resolved", "critical"), "Resolved: Queue q is too old", "success"),
    ],
)
def test_one_notice(notice: AlertNotice, title: str, type_: str) -> None:
    text = compose_text([notice], False)
    assert (text.title, text.type, text.body) == (title, type_, "m")


def test_a_notice_without_a_message_says_since_when() -> None:
    assert compose_text([make("fired", message="")], False).body == f"since {AT}"


def test_many_notices_are_one_message() -> None:
    text = compose_text([make("fired"), make("fired"), make("resolved")], False)
    assert text.title == "2 alerts, 1 resolved"
    assert text.body.splitlines()[2] == "Resolved: Queue q is too old: m"
    assert text.type == "warning"


def test_a_long_list_is_cut() -> None:
    text = compose_text([make("fired")] * (MAX_LISTED + 2), False)
    assert text.body.splitlines()[-1] == "and 2 more"


def test_a_possible_repetition_says_so() -> None:
    assert compose_text([make("fired")], True).body.endswith(REPEAT_NOTE)
