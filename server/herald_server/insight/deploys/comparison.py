"""Compare the runs of a task name before and after a moment. Pure.

Runtimes come from buckets that are 19 % wide. Percentiles are interpolated within them,
so two neighbouring buckets differ by 19 % at most: less than `MIN_RATIO`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from herald_core.model.marks.views import (
    FASTER,
    FEWER,
    MORE,
    SIMILAR,
    SLOWER,
    UNKNOWN,
    Comparison,
    Side,
)
from herald_core.model.rollups.rollup import (
    BUCKET_RATIO,
    MIN_RUNTIME_S,
    OTHER_PART,
    Rollup,
    add_counts,
)
from herald_server.insight.deploys.significance import (
    MAX_CHANCE_RATIO,
    compute_excess_probability,
    is_shifted_up,
)
from herald_server.insight.stats.timeseries import compute_failure_rate

MIN_RUNS = 20
"""Runs that each side needs to be judged."""

MIN_RATIO = 1.25
"""Factor of a percentile from which a change is called slower, or faster."""

MIN_FAILURE_DIFFERENCE = 0.01
"""Difference of failure rates from which a change is called more, or fewer."""


class Sample(msgspec.Struct, frozen=True):
    """Counts and buckets of runtimes of one name, in some whole minutes."""

    minutes: float
    counts: dict[str, int]
    runtimes: dict[int, int]
    whole: bool = True
    """False if some names of a minute were counted together as others."""

    @property
    def runs(self) -> int:
        """Runs that succeeded, and whose runtime is known."""
        return sum(self.runtimes.values())

    @property
    def ended(self) -> int:
        """Runs that succeeded or failed."""
        return self.failed + self.counts.get("succeeded", 0)

    @property
    def failed(self) -> int:
        """Runs that failed."""
        return self.counts.get("failed", 0)


def take_sample(minutes: Iterable[Rollup], name: str, length: float) -> Sample:
    """Return the sample of `name` in `minutes`, of a time of `length` minutes."""
    counts, runtimes, whole = dict[str, int](), dict[int, int](), True
    for minute in minutes:
        add_counts(counts, minute.names.get(name, {}))
        add_counts(runtimes, minute.runtimes_of.get(name, {}))
        whole = whole and OTHER_PART not in minute.names
    return Sample(length, counts, runtimes, whole)


def compare(name: str, before: Sample, after: Sample) -> Comparison:
    """Return the comparison of two samples of `name`."""
    old, new = make_side(before), make_side(after)
    return Comparison(
        name=name,
        before=old,
        after=new,
        runtime=judge_runtimes(before.runtimes, after.runtimes),
        failures=judge_failures(before, after),
        p50_ratio=_divide(new.p50, old.p50),
        p95_ratio=_divide(new.p95, old.p95),
        whole=before.whole and after.whole,
    )


def make_side(sample: Sample) -> Side:
    """Return a sample as it is shown."""
    return Side(
        ended=sample.ended,
        failed=sample.failed,
        runs=sample.runs,
        per_minute=_divide_by_minutes(sample),
        failure_rate=compute_failure_rate(sample.counts),
        p50=estimate_percentile(sample.runtimes, 0.5),
        p95=estimate_percentile(sample.runtimes, 0.95),
    )


def _divide_by_minutes(sample: Sample) -> float:
    return round(sample.ended / sample.minutes, 3) if sample.minutes > 0 else 0.0


def judge_runtimes(before: Mapping[int, int], after: Mapping[int, int]) -> str:
    """Return `slower`, `faster`, `similar` or `unknown`.

    Slower is what takes `MIN_RATIO` times as long at the median or at the 95th
    percentile, by more than chance. What is slower at one and faster at the other is
    slower.
    """
    if min(sum(before.values()), sum(after.values())) < MIN_RUNS:
        return UNKNOWN
    if any(_is_longer(before, after, part) for part in (0.5, 0.95)):
        return SLOWER
    if any(_is_longer(after, before, part) for part in (0.5, 0.95)):
        return FASTER
    return SIMILAR


def _is_longer(old: Mapping[int, int], new: Mapping[int, int], part: float) -> bool:
    ratio = _divide(estimate_percentile(new, part), estimate_percentile(old, part))
    return ratio is not None and ratio >= MIN_RATIO and is_shifted_up(old, new, part)


def judge_failures(before: Sample, after: Sample) -> str:
    """Return `more`, `fewer`, `similar` or `unknown`, by the rate of failures."""
    if min(before.ended, after.ended) < MIN_RUNS:
        return UNKNOWN
    if _is_failing_more(before, after):
        return MORE
    return FEWER if _is_failing_more(after, before) else SIMILAR


def _is_failing_more(old: Sample, new: Sample) -> bool:
    difference = new.failed / new.ended - old.failed / old.ended
    if difference < MIN_FAILURE_DIFFERENCE:
        return False
    hits_before, hits_after = (old.failed, old.ended), (new.failed, new.ended)
    return compute_excess_probability(hits_before, hits_after) < MAX_CHANCE_RATIO


def estimate_percentile(runtimes: Mapping[int, int], part: float) -> float | None:
    """Return the runtime in seconds that `part` (0 to 1) of all do not exceed.

    Runs lie evenly within a bucket, by the logarithm of their runtime. None if there
    are none.
    """
    wanted = sum(runtimes.values()) * part
    below = 0.0
    for bucket in sorted(runtimes):
        count = runtimes[bucket]
        if count and below + count >= wanted:
            inside = (wanted - below) / count
            return _get_seconds(bucket, inside)
        below += count
    return None


def _get_seconds(bucket: int, inside: float) -> float:
    if bucket == 0:
        return MIN_RUNTIME_S
    return float(f"{MIN_RUNTIME_S * math.pow(BUCKET_RATIO, bucket - 1 + inside):.3g}")


def _divide(new: float | None, old: float | None) -> float | None:
    return round(new / old, 2) if new is not None and old else None


def select_slower(found: Iterable[Comparison]) -> list[Comparison]:
    """Return those that are slower, by the factor of the worse percentile."""
    slower = [one for one in found if one.runtime == SLOWER]
    return sorted(slower, key=_get_factor, reverse=True)


def select_failing(found: Iterable[Comparison]) -> list[Comparison]:
    """Return those that fail more often, by the difference of their rates."""
    failing = [one for one in found if one.failures == MORE]
    return sorted(failing, key=_get_rise, reverse=True)


def _get_factor(found: Comparison) -> float:
    return max(found.p50_ratio or 0.0, found.p95_ratio or 0.0)


def _get_rise(found: Comparison) -> float:
    return (found.after.failure_rate or 0.0) - (found.before.failure_rate or 0.0)
