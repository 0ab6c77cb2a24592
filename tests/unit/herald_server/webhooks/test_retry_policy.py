"""When a webhook is sent again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_server.webhooks.retry_policy import RetryPolicy, parse_retry_after
from tests.support.model.webhook_endpoints import NOW


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_stay_bounded(attempts: int, chance: float) -> None:
    pace = RetryPolicy()
    pause = pace.compute_pause(attempts, chance)
    assert pace.first / 2 <= pause <= pace.longest
    assert pace.compute_pause(attempts + 1, chance) >= pause


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        ("999999999999", 3600),
        ("-5", 0),
        ("soon", 0),
        ("Fri, 13 Nov 2026 10:00:00 GMT", 0),
    ],
)
def test_retry_after_is_understood_in_both_spellings(
    text: str | None, seconds: float
) -> None:
    assert parse_retry_after(text, NOW + 10**7) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_retry_after("Thu, 01 Jan 2026 00:01:00 GMT", at.timestamp()) == 60
