"""Whether two samples differ by more than chance. Pure.

Both tests are exact: they hold for any distribution, for few runs and for ties, so that
the buckets of the rollups do not matter. Runs count as independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate

MAX_CHANCE_RATIO = 1e-4
"""Probability of a difference by chance, below which it counts: a list of 64 names,
judged for both percentiles and failures, has a false alarm in fewer than 2 of 100."""

NEGLIGIBLE_RATIO = 1e-15
"""Part of the sum below which further terms are left out."""


def compute_excess_probability(
    before: tuple[int, int], after: tuple[int, int]
) -> float:
    """Return the probability of at least that many hits `after`, if nothing changed.

    `before` and `after` are hits and tries. One-sided exact test of Fisher: given all
    hits, their number after is hypergeometric.
    """
    (hits_before, tries_before), (hits_after, tries_after) = before, after
    hits, tries = hits_before + hits_after, tries_before + tries_after
    if not tries or hits_after * tries <= hits * tries_after:
        return 1.0  # at most as many as expected
    total = term = math.exp(_log_probability(hits_after, tries_after, hits, tries))
    for k in range(hits_after, min(hits, tries_after)):
        term *= (hits - k) * (tries_after - k)
        term /= (k + 1) * (tries_before - hits + k + 1)
        total += term
        if term <= total * NEGLIGIBLE_RATIO:
            break
    return min(total, 1.0)


def _log_probability(k: int, draws: int, hits: int, tries: int) -> float:
    """Return the logarithm of the hypergeometric probability of `k` hits."""
    return (
        _log_binomial(hits, k)
        + _log_binomial(tries - hits, draws - k)
        - _log_binomial(tries, draws)
    )


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def is_shifted_up(
    before: Mapping[int, int], after: Mapping[int, int], part: float
) -> bool:
    """Return True if more runs lie above the quantile `part` `after` than `before`.

    The quantile is that of both samples together (for `part` 0.5: Mood's median test).
    """
    boundary = _find_boundary(before, after, part)
    above = [
        (
            sum(n for bucket, n in sample.items() if bucket >= boundary),
            sum(sample.values()),
        )
        for sample in (before, after)
    ]
    return compute_excess_probability(above[0], above[1]) < MAX_CHANCE_RATIO


def _find_boundary(
    before: Mapping[int, int], after: Mapping[int, int], part: float
) -> int:
    """Return the bucket from which on about `1 - part` of all runs lie."""
    buckets = sorted({*before, *after})
    counts = [before.get(bucket, 0) + after.get(bucket, 0) for bucket in buckets]
    below = list(accumulate(counts, initial=0))
    wanted = below[-1] * part
    nearest = min(range(len(buckets)), key=lambda i: abs(below[i] - wanted), default=0)
    return buckets[nearest] if buckets else 0
