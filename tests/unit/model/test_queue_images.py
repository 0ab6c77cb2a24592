"""Which queues are said to be without anybody who takes from them, and which may be."""

from typing import Any

import msgspec

from herald_monitor.model.queues import DOUBT_AFTER, QueueImage, is_news
from herald_monitor.model.shape import rfc3339

NOW = 1_800_000_000.0


def image(age: float | None, **fields: Any) -> QueueImage:
    """A queue in which the oldest of two messages has waited for `age` seconds."""
    since = None if age is None else rfc3339(NOW - age)
    return QueueImage(
        id="pay", name="pay", depth=2, oldest_at=since, as_of=rfc3339(NOW), **fields
    )


def test_a_message_that_came_just_now_gives_no_doubt() -> None:
    assert not image(0.2, unanswered=1).may_be_stranded
    assert not image(DOUBT_AFTER - 0.1, silent_consumers=("w1@h",)).may_be_stranded
    assert image(DOUBT_AFTER, unanswered=1).may_be_stranded


def test_a_message_of_unknown_age_gives_no_doubt() -> None:
    assert not image(None, unanswered=1).may_be_stranded


def test_a_message_that_waits_long_gives_no_doubt_where_everybody_answered() -> None:
    assert not image(600.0).may_be_stranded
    assert not image(600.0, consumers=("w1@h",), unanswered=1).may_be_stranded


def test_what_nobody_takes_is_said_at_once() -> None:
    assert image(0.2, consumers=()).stranded


def test_that_a_message_waits_long_by_now_is_news() -> None:
    was = image(1.0, unanswered=1)
    now = msgspec.structs.replace(was, as_of=rfc3339(NOW + DOUBT_AFTER))
    assert is_news(was, now)
    assert not is_news(now, msgspec.structs.replace(now, as_of=rfc3339(NOW + 20)))
