"""Latency percentiles over a sliding window. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from herald_core.model.rollups.rollup import compute_percentile, to_bucket

SLOT_S = 30.0
SLOT_COUNT = 10
WINDOW_S = SLOT_S * SLOT_COUNT
"""Seconds of the measured window, and the step in which old values are dropped."""


class LatencyPercentiles(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds (error at most 9 %, minimum 1 ms) of
    `count` values."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    count: int
    window_seconds: int = round(WINDOW_S)


class SlidingHistogram:
    """A sliding histogram. `now` is from a monotonic clock."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, dict[int, int]]] = deque(maxlen=SLOT_COUNT)

    def record(self, seconds: float, now: float) -> None:
        """Count a latency in seconds; a negative one counts as 0."""
        slot = int(now // SLOT_S)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, {}))
        buckets = self._slots[-1][1]
        bucket = to_bucket(seconds)
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def merge_buckets(self, now: float) -> dict[int, int]:
        """Return the counts within the window, by bucket."""
        first = int(now // SLOT_S) - SLOT_COUNT + 1
        found: dict[int, int] = {}
        for slot, buckets in self._slots:
            if slot >= first:
                for bucket, number in buckets.items():
                    found[bucket] = found.get(bucket, 0) + number
        return found

    def compute_percentiles(self, now: float) -> LatencyPercentiles | None:
        """Return the percentiles of the window; None if it is empty."""
        found = self.merge_buckets(now)
        if not found:
            return None
        points = [compute_percentile(found, part) or 0.0 for part in (0.5, 0.95, 0.99)]
        p50, p95, p99 = (round(1000 * point, 1) for point in points)
        return LatencyPercentiles(p50, p95, p99, sum(found.values()))
