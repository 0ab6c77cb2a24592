"""Tests that tell a difference from chance, and keep their promise about chance."""

from __future__ import annotations

import math
import random

import pytest

from herald_core.model.rollups.rollup import to_bucket
from herald_server.insight.deploys.significance import (
    MAX_CHANCE_RATIO,
    compute_excess_probability,
    is_shifted_up,
)


def count_exactly(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the same probability by counting all ways."""
    hits, tries = before[0] + after[0], before[1] + after[1]
    ways = sum(
        math.comb(hits, k) * math.comb(tries - hits, after[1] - k)
        for k in range(after[0], min(hits, after[1]) + 1)
    )
    return ways / math.comb(tries, after[1])


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 10), (5, 10)), ((0, 50), (50, 50)), ((3, 1000), (9, 30)), ((2, 5), (6, 9))],
)
def test_the_probability_is_that_of_counting_all_ways(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    exact = count_exactly(before, after)
    assert compute_excess_probability(before, after) == pytest.approx(exact, rel=1e-9)


def test_what_is_expected_or_less_is_no_excess() -> None:
    assert compute_excess_probability((5, 10), (5, 10)) == 1.0
    assert compute_excess_probability((9, 10), (1, 10)) == 1.0
    assert compute_excess_probability((0, 0), (0, 0)) == 1.0
    assert compute_excess_probability((0, 0), (5, 5)) == 1.0


def test_millions_of_runs_are_judged() -> None:
    assert compute_excess_probability((1_000, 10**6), (1_300, 10**6)) < 1e-9
    assert compute_excess_probability((1_000, 10**6), (1_010, 10**6)) > 0.1


def draw(seed: random.Random, runs: int, factor: float = 1.0) -> dict[int, int]:
    """Return a skewed sample of runtimes, in buckets."""
    found: dict[int, int] = {}
    for _ in range(runs):
        bucket = to_bucket(factor * seed.lognormvariate(-1.0, 0.8))
        found[bucket] = found.get(bucket, 0) + 1
    return found


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_equal_samples_differ_no_more_often_than_promised(part: float) -> None:
    seed, rounds = random.Random(7), 3_000
    alarms = sum(
        is_shifted_up(
            draw(seed, seed.randint(20, 60)), draw(seed, seed.randint(20, 60)), part
        )
        for _ in range(rounds)
    )
    # At the promised rate three alarms in 3,000 have a probability below 0.4 %.
    assert alarms <= max(2, rounds * MAX_CHANCE_RATIO)


def test_a_real_difference_is_found_whichever_side_has_more_runs() -> None:
    seed = random.Random(7)
    for before, after in ((50, 50), (30, 600), (600, 30)):
        old, new = draw(seed, before), draw(seed, after, factor=3.0)
        assert is_shifted_up(old, new, 0.5)
        assert not is_shifted_up(new, old, 0.5)


def test_no_runs_are_no_difference() -> None:
    assert not is_shifted_up({}, {}, 0.5)
    assert not is_shifted_up({7: 30}, {}, 0.5)
    assert not is_shifted_up({7: 30}, {7: 30}, 0.5)
