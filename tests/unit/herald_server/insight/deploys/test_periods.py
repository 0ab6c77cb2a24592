"""Which minutes lie before and after a mark."""

from __future__ import annotations

import pytest

from herald_core.errors import InvalidInput
from herald_core.model.marks.mark import Mark
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.tasks.views import to_rfc3339
from herald_server.insight.deploys.periods import choose_times, parse_window

HOUR = 3_600.0
MINUTE_0 = 1_700_000_040.0  # the start of a minute


def make_mark(at: float, until: float | None = None) -> Mark:
    end = None if until is None else to_rfc3339(until)
    return Mark(id="m", at=to_rfc3339(at), kind="deploy", what="x", until=end)


def test_the_minute_of_the_mark_belongs_to_neither_side() -> None:
    old, new = choose_times(make_mark(MINUTE_0 + 20), HOUR, MINUTE_0 + 2 * HOUR)
    assert (old.since, old.until) == (MINUTE_0 - HOUR, MINUTE_0)
    assert (new.since, new.until) == (MINUTE_0 + 60, MINUTE_0 + 60 + HOUR)
    minutes = [Rollup(at=int(MINUTE_0) + 60 * n) for n in (-1, 0, 1)]
    assert old.select(minutes) == minutes[:1]
    assert new.select(minutes) == minutes[2:]


def test_the_minutes_of_a_roll_out_belong_to_neither_side() -> None:
    mark = make_mark(MINUTE_0, until=MINUTE_0 + 290)
    assert choose_times(mark, HOUR, MINUTE_0 + HOUR)[1].since == MINUTE_0 + 300


def test_the_time_after_ends_now() -> None:
    new = choose_times(make_mark(MINUTE_0), HOUR, MINUTE_0 + 90)[1]
    assert (new.until, new.minutes) == (MINUTE_0 + 90, 1.5)
    none = choose_times(make_mark(MINUTE_0 + 1), HOUR, MINUTE_0 + 2)[1]
    assert none.minutes == 0
    assert none.to_view().since == none.to_view().until


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 3600), ("15m", 900), ("90", 90), ("12h", 43_200)]
)
def test_a_window_is_a_time(text: str | None, seconds: float) -> None:
    assert parse_window(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "59", "13h", "1d", "many", "\uff11h", "-5m"])
def test_other_windows_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidInput, match="window must be a time such as 15m or 1h"):
        parse_window(text)
