"""Exponents of growth: the slope of a figure over a size, both as logarithms. Pure."""

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import NamedTuple


class Spread(NamedTuple):
    """A median of some runs, and the least and the most of them."""

    median: float
    least: float
    most: float


def make_spread(values: Sequence[float]) -> Spread:
    """Return the spread of the figures of some runs."""
    return Spread(median(values), min(values), max(values))


def fit_exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """Return the exponent b of `figure = a * size ** b` by least squares.

    0 for a figure that stays the same, 1 for one that is proportional to the size.
    """
    xs, ys = [math.log(x) for x in sizes], [math.log(max(y, 1e-9)) for y in figures]
    x, y = mean(xs), mean(ys)
    square = sum((one - x) ** 2 for one in xs)
    products = ((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return sum(products) / square if square else 0.0
