"""Sums of failures by cause over a window, and how a cause is presented. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from herald_core.model.failures.cause import UNKNOWN_TYPE
from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import MINUTE_S, OTHER_PART

WINDOWS = {
    "10m": (600, 60),
    "15m": (900, 60),
    "1h": (3_600, 60),
    "24h": (86_400, 1_800),
}
"""Window → its length and that of a bin of its series, in seconds."""

MAX_BINS = 60

UNNAMED = "(unknown)"
"""The name of tasks whose name is not known."""


@dataclass(frozen=True)
class SeriesBins:
    """The bins of a series: the start of the first (unix seconds), their length in
    seconds, and their number. All begin at a minute."""

    first: int
    step: int
    count: int


def make_window_bins(window: str, now: float) -> SeriesBins:
    """Return the bins of a window of `WINDOWS`; the last one is still growing."""
    length, step = WINDOWS[window]
    count = length // step
    return SeriesBins(int(now // step) * step - length + step, step, count)


def make_range_bins(after: float, before: float) -> SeriesBins:
    """Return at most `MAX_BINS` bins from the minute of `after` up to `before`."""
    first = int(after // MINUTE_S) * MINUTE_S
    minutes = max(math.ceil((before - first) / MINUTE_S), 1)
    step = math.ceil(minutes / MAX_BINS)
    return SeriesBins(first, step * MINUTE_S, math.ceil(minutes / step))


@dataclass
class CauseCounts:
    """The attempts of one cause: `failed` for good, `retried`, and both by name.

    `series` has both in each bin, `first_at` and `last_at` (unix seconds) are the
    starts of the first and the last minute with any.
    """

    series: list[int]
    failed: int = 0
    retried: int = 0
    names: dict[str, int] = field(default_factory=dict[str, int])
    first_at: int = 0
    last_at: int = 0

    def add(self, at: int, bin_: int, name: str, failed: int, retried: int) -> None:
        """Add the counts of a minute, which lies in the bin `bin_`."""
        self.failed += failed
        self.retried += retried
        self.series[bin_] += failed + retried
        name = name or UNNAMED
        self.names[name] = self.names.get(name, 0) + failed + retried
        self.first_at = min(self.first_at or at, at)
        self.last_at = max(self.last_at, at)


def sum_causes(
    minutes: Iterable[FailureRollup],
    bins: SeriesBins,
    fits: Callable[[str], bool] | None = None,
) -> dict[str, CauseCounts]:
    """Return the counts of each cause in `bins`.

    `fits` selects names of tasks.
    """
    sums: dict[str, CauseCounts] = {}
    for minute in minutes:
        bin_ = (minute.at - bins.first) // bins.step
        if not 0 <= bin_ < bins.count:
            continue
        for (cause, name), (failed, retried) in minute.counts.items():
            if fits is not None and not fits(name):
                continue
            counts = sums.get(cause)
            if counts is None:
                counts = sums[cause] = CauseCounts([0] * bins.count)
            counts.add(minute.at, bin_, name, failed, retried)
    return sums


def rank_causes(sums: Mapping[str, CauseCounts]) -> list[str]:
    """Return the causes that are counted separately, the most frequent first."""
    causes = [cause for cause in sums if cause != OTHER_PART]
    return sorted(causes, key=lambda c: (-sums[c].failed, -sums[c].retried, c))


def make_summary_fields(
    fingerprint: str,
    counts: CauseCounts | None,
    known: Mapping[str, Any],
    deployed_at: str | None,
) -> dict[str, Any]:
    """Return the fields of a `FailureSummary`.

    `known` is the data of the document of the cause; empty if there is none.
    """
    first_seen = known.get("first_seen")
    is_new = None
    if deployed_at is not None and first_seen is not None:
        is_new = first_seen >= deployed_at
    return {
        "id": fingerprint,
        "fingerprint": fingerprint,
        "exception": known.get("exception", UNKNOWN_TYPE),
        "frame": known.get("frame"),
        "message_example": known.get("message_example"),
        "count": counts.failed if counts else 0,
        "retried": counts.retried if counts else 0,
        "first_seen": first_seen,
        "last_seen": known.get("last_seen"),
        "new_since_deploy": is_new,
        "names": _sort_names(counts.names) if counts else {},
        "workers": tuple(known.get("workers", ())),
        "versions": tuple(known.get("versions", ())),
        "task_example": known.get("task_example"),
        "series": tuple(counts.series) if counts else (),
    }


def _sort_names(names: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(names.items(), key=lambda pair: (-pair[1], pair[0])))
