"""A name before and after: slower, faster, similar, or too few runs to tell."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.marks.views import (
    FASTER,
    FEWER,
    MORE,
    SIMILAR,
    SLOWER,
    UNKNOWN,
)
from herald_core.model.rollups.rollup import (
    LAST_BUCKET,
    OTHER_PART,
    Rollup,
    compute_percentile,
    to_bucket,
)
from herald_server.insight.deploys.comparison import (
    MIN_RATIO,
    Sample,
    compare,
    estimate_percentile,
    judge_failures,
    judge_runtimes,
    take_sample,
)


def count(*runtimes: float) -> dict[int, int]:
    """Return runtimes in seconds, in buckets."""
    found: dict[int, int] = {}
    for runtime in runtimes:
        bucket = to_bucket(runtime)
        found[bucket] = found.get(bucket, 0) + 1
    return found


def draw(seed: random.Random, runs: int, factor: float = 1.0) -> dict[int, int]:
    return count(*(factor * seed.lognormvariate(-1, 0.7) for _ in range(runs)))


def make_sample(ended: int, failed: int) -> Sample:
    return Sample(60, {"succeeded": ended - failed, "failed": failed}, {})


def test_a_longer_median_is_slower_and_a_shorter_one_faster() -> None:
    seed = random.Random(1)
    old, new = draw(seed, 200), draw(seed, 200, factor=1.8)
    assert judge_runtimes(old, new) == SLOWER
    assert judge_runtimes(new, old) == FASTER


def test_a_longer_tail_is_slower_with_the_same_median() -> None:
    quick = [0.1] * 950
    old, new = count(*quick, *[0.2] * 50), count(*quick, *[4.5] * 150)
    assert judge_runtimes(old, new) == SLOWER


def test_fewer_than_twenty_runs_are_not_judged() -> None:
    assert judge_runtimes(count(*[0.1] * 19), count(*[9.0] * 500)) == UNKNOWN
    assert judge_runtimes(count(*[0.1] * 20), count(*[9.0] * 20)) == SLOWER


def test_a_shift_by_one_bucket_is_no_change() -> None:
    """1 % more at the edge of a bucket moves all runs into the next one."""
    for bucket in range(1, LAST_BUCKET):
        assert judge_runtimes({bucket: 10_000}, {bucket + 1: 10_000}) == SIMILAR


@given(
    st.lists(st.integers(0, 1_000), min_size=4, max_size=4).filter(
        lambda n: n[0] + n[1] > 0 and n[2] + n[3] > 0
    ),
    st.sampled_from([0.5, 0.95]),
)
def test_two_neighbouring_buckets_never_reach_the_ratio(
    counts: list[int], part: float
) -> None:
    old = estimate_percentile({40: counts[0], 41: counts[1]}, part)
    new = estimate_percentile({40: counts[2], 41: counts[3]}, part)
    assert old is not None
    assert new is not None
    assert new / old < MIN_RATIO


def test_equal_distributions_are_called_similar() -> None:
    """Of 2,000 comparisons at most one may be a false alarm (promised: 0.8)."""
    seed = random.Random(11)
    verdicts = [
        judge_runtimes(
            draw(seed, seed.randint(20, 120)), draw(seed, seed.randint(20, 120))
        )
        for _ in range(2_000)
    ]
    assert sum(verdict != SIMILAR for verdict in verdicts) <= 1


@given(st.dictionaries(st.integers(0, LAST_BUCKET), st.integers(1, 50), min_size=1))
def test_percentiles_differ_from_those_shown_elsewhere_by_a_bucket_at_most(
    runtimes: dict[int, int],
) -> None:
    for part in (0.5, 0.95):
        shown, other = (
            estimate_percentile(runtimes, part),
            compute_percentile(runtimes, part),
        )
        assert shown is not None
        assert other is not None
        assert other / 1.1 <= shown <= other * 1.1


def test_no_runs_have_no_percentile() -> None:
    assert estimate_percentile({}, 0.5) is None


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((1000, 30), (1000, 610), MORE),
        ((1000, 610), (1000, 30), FEWER),
        ((100, 3), (100, 6), SIMILAR),
        ((1_000_000, 100), (1_000_000, 900), SIMILAR),
        ((19, 0), (1000, 900), UNKNOWN),
    ],
)
def test_failures_are_judged_by_their_rate(
    before: tuple[int, int], after: tuple[int, int], verdict: str
) -> None:
    assert judge_failures(make_sample(*before), make_sample(*after)) == verdict


def test_a_sample_is_the_sum_of_the_minutes_of_one_name() -> None:
    minutes = [
        Rollup(
            at=at,
            names={"a": {"succeeded": 2, "failed": 1}, "b": {"succeeded": 9}},
            runtimes_of={"a": {40: 2}, "b": {50: 9}},
        )
        for at in (60, 120)
    ]
    sample = take_sample(minutes, "a", 10)
    assert (sample.ended, sample.failed, sample.runs) == (6, 2, 4)
    assert sample.whole
    crowded = Rollup(at=180, names={OTHER_PART: {"succeeded": 1}})
    assert not take_sample([*minutes, crowded], "a", 10).whole


def test_a_comparison_shows_both_sides_and_their_ratios() -> None:
    counts = {"succeeded": 90, "failed": 10}
    old = Sample(10, counts, {to_bucket(1.0): 90})
    new = Sample(10, counts, {to_bucket(4.0): 90}, whole=False)
    found = compare("charge", old, new)
    assert (found.runtime, found.failures, found.whole) == (SLOWER, SIMILAR, False)
    assert found.p50_ratio == pytest.approx(4.0, rel=0.01)
    assert (found.before.per_minute, found.before.failure_rate) == (10.0, 0.1)
    nothing = compare("charge", Sample(10, {}, {}), new)
    assert (nothing.runtime, nothing.failures) == (UNKNOWN, UNKNOWN)
    assert nothing.p50_ratio is None
    assert nothing.before.p95 is None
