"""Which queues are said to be without anybody who takes from them, and which may be."""

from typing import Any

import msgspec
import pytest

from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import (
    UNCONSUMED_AFTER_S,
    QueueView,
    estimate_drain_s,
    is_significant,
)

NOW = 1_800_000_000.0


def image(age: float | None, **fields: Any) -> QueueView:
    """A queue in which the oldest of two messages has waited for `age` seconds."""
    since = None if age is None else to_rfc3339(NOW - age)
    return QueueView(
        id="pay", name="pay", depth=2, oldest_at=since, as_of=to_rfc3339(NOW), **fields
    )


def test_a_message_that_came_just_now_gives_no_doubt() -> None:
    assert not image(0.2, unanswered=1).may_be_unconsumed
    assert not image(
        UNCONSUMED_AFTER_S - 0.1, silent_consumers=("w1@h",)
    ).may_be_unconsumed
    assert image(UNCONSUMED_AFTER_S, unanswered=1).may_be_unconsumed


def test_a_message_of_unknown_age_gives_no_doubt() -> None:
    assert not image(None, unanswered=1).may_be_unconsumed


def test_a_message_that_waits_long_gives_no_doubt_where_everybody_answered() -> None:
    assert not image(600.0).may_be_unconsumed
    assert not image(600.0, consumers=("w1@h",), unanswered=1).may_be_unconsumed


def test_what_nobody_takes_is_said_at_once() -> None:
    assert image(0.2, consumers=()).is_unconsumed


def test_that_a_message_waits_long_by_now_is_news() -> None:
    was = image(1.0, unanswered=1)
    now = msgspec.structs.replace(was, as_of=to_rfc3339(NOW + UNCONSUMED_AFTER_S))
    assert is_significant(was, now)
    assert not is_significant(
        now, msgspec.structs.replace(now, as_of=to_rfc3339(NOW + 20))
    )


@pytest.mark.parametrize(
    ("depth", "coming", "going", "seconds"),
    [
        (0, None, None, 0.0),
        (None, 1.0, 2.0, None),
        (30, None, 2.0, None),
        (30, 1.0, None, None),
        (30, 1.0, 3.0, 900.0),
        (30, 3.0, 1.0, None),
    ],
)
def test_when_a_queue_will_be_empty_is_said_if_it_gets_shorter(
    depth: int | None, coming: float | None, going: float | None, seconds: float | None
) -> None:
    assert estimate_drain_s(depth, coming, going) == seconds
