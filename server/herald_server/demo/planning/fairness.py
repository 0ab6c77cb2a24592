"""How evenly blocks are shared: 1 − Gini, its trend, and what stands out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean, pstdev


def gini(shares: Sequence[float]) -> float:
    """Return the Gini coefficient: 0 if all are equal, near 1 if one has all.

    Nobody, or nothing shared, is equal: 0. Raises ValueError below zero.
    """
    if any(share < 0 for share in shares):
        raise ValueError("a share cannot be negative")
    total = sum(shares)
    if not total:
        return 0.0
    count = len(shares)
    ranked = sum(rank * share for rank, share in enumerate(sorted(shares), start=1))
    return max(0.0, 2 * ranked / (count * total) - (count + 1) / count)


def fairness(shares: Sequence[float]) -> float:
    """Return 1 − Gini."""
    return 1.0 - gini(shares)


def slope(values: Sequence[float]) -> float:
    """Return the least-squares slope of values at 0, 1, 2, …"""
    middle = (len(values) - 1) / 2
    spread = sum((x - middle) ** 2 for x in range(len(values)))
    if not spread:
        return 0.0
    mean = fmean(values)
    return sum((x - middle) * (y - mean) for x, y in enumerate(values)) / spread


def trend_chance(values: Sequence[float], rounds: int, rng: random.Random) -> float:
    """Return how often a shuffled series has as steep a slope (permutation test)."""
    steep = abs(slope(values)) - 1e-12
    shuffled = list(values)
    hits = 0
    for _ in range(rounds):
        rng.shuffle(shuffled)
        hits += abs(slope(shuffled)) >= steep
    return hits / rounds if rounds else 1.0


def spread(
    shares: Sequence[float], rounds: int, rng: random.Random
) -> tuple[float, float]:
    """Return the 5 % and 95 % bounds of fairness by bootstrap over the people."""
    drawn = sorted(fairness(rng.choices(shares, k=len(shares))) for _ in range(rounds))
    if not drawn:
        return fairness(shares), fairness(shares)
    return drawn[int(0.05 * (rounds - 1))], drawn[int(0.95 * (rounds - 1))]


def outliers(values: Sequence[float], limit: float = 2.0) -> list[int]:
    """Return where a value lies more than `limit` deviations from the mean."""
    if len(values) < 3 or not (deviation := pstdev(values)):
        return []
    mean = fmean(values)
    return [n for n, y in enumerate(values) if abs(y - mean) > limit * deviation]
