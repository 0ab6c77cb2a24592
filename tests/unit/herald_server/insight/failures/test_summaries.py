"""Sums of failures by cause over a window."""

import pytest

from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import OTHER_PART
from herald_server.insight.failures.summaries import (
    UNNAMED,
    SeriesBins,
    make_range_bins,
    make_summary_fields,
    make_window_bins,
    rank_causes,
    sum_causes,
)

NOW = 1_800_000_030.0
MINUTE = int(NOW // 60 * 60)
HOUR = make_window_bins("1h", NOW)


def minute(ago: int, **counts: tuple[int, int]) -> FailureRollup:
    pairs = {tuple(key.split("__", 1)): n for key, n in counts.items()}
    return FailureRollup(MINUTE - 60 * ago, pairs)  # type: ignore[arg-type]


def test_counts_lie_in_the_bins_of_their_minutes() -> None:
    sums = sum_causes(
        [minute(9, a__x=(2, 0)), minute(0, a__x=(1, 3))], make_window_bins("10m", NOW)
    )
    one = sums["a"]
    assert (one.failed, one.retried) == (3, 3)
    assert one.series == [2, 0, 0, 0, 0, 0, 0, 0, 0, 4]
    assert (one.first_at, one.last_at) == (MINUTE - 540, MINUTE)


def test_what_is_out_of_the_window_does_not_count() -> None:
    minutes = [minute(10, a__x=(1, 0)), minute(-1, a__x=(1, 0))]
    assert sum_causes(minutes, make_window_bins("10m", NOW)) == {}
    assert make_window_bins("10m", NOW) == SeriesBins(MINUTE - 540, 60, 10)


@pytest.mark.parametrize(
    ("after", "before", "bins"),
    [
        (5.0, 65.0, SeriesBins(0, 60, 2)),
        (0.0, 3_600.0, SeriesBins(0, 60, 60)),
        (0.0, 3_601.0, SeriesBins(0, 120, 31)),
        (59.0, 59.5, SeriesBins(0, 60, 1)),
    ],
)
def test_a_range_is_split_at_whole_minutes(
    after: float, before: float, bins: SeriesBins
) -> None:
    assert make_range_bins(after, before) == bins


def test_causes_are_counted_by_name_and_selected_by_it() -> None:
    minutes = [minute(1, a__x=(2, 0), a__y=(1, 0), b__y=(4, 0), a__=(1, 0))]
    sums = sum_causes(minutes, HOUR)
    assert sums["a"].names == {"x": 2, "y": 1, UNNAMED: 1}
    only = sum_causes(minutes, HOUR, lambda name: name == "y")
    assert {cause: one.failed for cause, one in only.items()} == {"a": 1, "b": 4}


def test_the_most_frequent_come_first_and_the_others_are_no_cause() -> None:
    others = FailureRollup(MINUTE, {(OTHER_PART, ""): (7, 0)})
    causes = minute(1, a__x=(1, 9), b__x=(5, 0), c__x=(1, 0))
    sums = sum_causes([causes, others], HOUR)
    assert rank_causes(sums) == ["b", "a", "c"]


def test_a_cause_is_new_if_it_was_first_seen_after_the_deploy() -> None:
    known = {"exception": "KeyError", "first_seen": "2026-01-01T12:00:00.000Z"}
    before, after = "2026-01-01T11:00:00.000Z", "2026-01-01T13:00:00.000Z"
    told = [
        make_summary_fields("a", None, known, deployed)["new_since_deploy"]
        for deployed in (before, after, None)
    ]
    assert told == [True, False, None]
