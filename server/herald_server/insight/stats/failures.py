"""Compare recent failure rates with the usual ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from herald_core.model.rollups.rollup import OTHER_PART
from herald_server.insight.stats.rollup_cache import DayRollup
from herald_server.insight.stats.timeseries import (
    RuntimePercentiles,
    compute_failure_rate,
    compute_runtime,
)

RECENT_S = 5 * 60.0
"""Seconds that count as now."""

MIN_FAILED = 2
"""Minimum number of failures to be unusual."""

SIGNIFICANCE_LEVEL = 0.01
"""Probability below which that many failures are no coincidence."""

PRIOR_RUNS = 10.0
PRIOR_RATE = 0.05
"""A name of which nothing is known counts as if it had ended so often, and failed
in such a part."""


class FailureRate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Recent outcomes of tasks of one name.

    `rate` is failures among those that `ended` (succeeded or failed) in the last five
    minutes, `normal` the same over the day before; absent if none had ended. `unusual`:
    the rate is above the normal one, as displayed, and statistically significant (p <
    0.01).
    """

    name: str
    failed: int
    ended: int
    rate: float | None = None
    normal: float | None = None
    normal_failed: int
    normal_ended: int
    unusual: bool = False


class RecentStats(FailureRate, frozen=True, omit_defaults=True, kw_only=True):
    """The same, with the runtimes of the day's `runs` that succeeded."""

    runs: int
    runtime: RuntimePercentiles | None = None


def find_failing(day: DayRollup) -> list[FailureRate]:
    """Return the names with recent failures: the most unusual first, then by count.

    The last `RECENT_S` seconds of `day` are a part of their own.
    """
    return [one for one in compare_names(day) if one.failed]


def collect_recent(day: DayRollup) -> list[RecentStats]:
    """Return the statistics of all names of the day, in the same order."""
    took = day.whole.runtimes_of
    return [
        RecentStats(
            **msgspec.structs.asdict(one),
            runs=sum(took.get(one.name, {}).values()),
            runtime=compute_runtime(took.get(one.name, {})),
        )
        for one in compare_names(day)
    ]


def compare_names(day: DayRollup) -> list[FailureRate]:
    """Return the comparison of each name, the most unusual first."""
    now_of, usual = day.recent.names, day.before.names
    found = [
        _compare(name, now_of.get(name, {}), usual.get(name, {}))
        for name in {**now_of, **usual}
        if name != OTHER_PART
    ]
    found.sort(
        key=lambda pair: (not pair[1].unusual, pair[0], -pair[1].failed, pair[1].name)
    )
    return [one for _, one in found]


def _compare(
    name: str, now: Mapping[str, int], usual: Mapping[str, int]
) -> tuple[float, FailureRate]:
    failed, ended = _count_ended(now)
    usually, of = _count_ended(usual)
    above = (
        not of
        or not ended
        or _round_percent(failed / ended) > _round_percent(usually / of)
    )
    chance = compute_binomial_tail(
        failed, ended, (usually + PRIOR_RUNS * PRIOR_RATE) / (of + PRIOR_RUNS)
    )
    return chance, FailureRate(
        name=name,
        failed=failed,
        ended=ended,
        rate=compute_failure_rate(now),
        normal=compute_failure_rate(usual),
        normal_failed=usually,
        normal_ended=of,
        unusual=above and failed >= MIN_FAILED and chance < SIGNIFICANCE_LEVEL,
    )


def _round_percent(share: float) -> float:
    """Return a share in percent, rounded as it is displayed."""
    return round(100 * share, 0 if share >= 0.1 else 1)


def _count_ended(counts: Mapping[str, int]) -> tuple[int, int]:
    failed = counts.get("failed", 0)
    return failed, failed + counts.get("succeeded", 0)


def compute_binomial_tail(hits: int, tries: int, part: float) -> float:
    """Return the probability of `hits` or more in `tries`, each with
    probability `part`."""
    if hits <= 0:
        return 1.0
    if not 0 < part < 1:
        return 1.0 if part >= 1 else 0.0
    # Summed from the smaller side, in logarithms: there may be many runs.
    upper = hits > tries * part
    those = range(hits, tries + 1) if upper else range(hits)
    total = 0.0
    for number in those:
        term = math.exp(_compute_log_probability(number, tries, part))
        total += term
        if upper and term < total * 1e-12:
            break
    return min(total if upper else max(1.0 - total, 0.0), 1.0)


def _compute_log_probability(hits: int, tries: int, part: float) -> float:
    ways = (
        math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    )
    return ways + hits * math.log(part) + (tries - hits) * math.log1p(-part)
