"""How long things took lately: percentiles over the last minutes. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from herald_monitor.model.rollups import bucket_of, percentile

SLOT = 30.0
SLOTS = 10
WINDOW = SLOT * SLOTS
"""Seconds that are looked back on, and the steps in which they are forgotten."""


class Lately(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds, at most 9 % off, none below 1 ms; of so many."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    count: int
    window_seconds: int = round(WINDOW)


class Latencies:
    """A histogram that slides. `now` is of a clock that only goes forward."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, dict[int, int]]] = deque(maxlen=SLOTS)

    def note(self, seconds: float, now: float) -> None:
        """Count something that took `seconds`; less than none counts as none."""
        slot = int(now // SLOT)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, {}))
        buckets = self._slots[-1][1]
        bucket = bucket_of(seconds)
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def buckets(self, now: float) -> dict[int, int]:
        """Return what was counted within the window, by bucket."""
        first = int(now // SLOT) - SLOTS + 1
        found: dict[int, int] = {}
        for slot, buckets in self._slots:
            if slot >= first:
                for bucket, number in buckets.items():
                    found[bucket] = found.get(bucket, 0) + number
        return found

    def lately(self, now: float) -> Lately | None:
        """Return the percentiles of the window; None if nothing was counted."""
        found = self.buckets(now)
        if not found:
            return None
        points = [percentile(found, part) or 0.0 for part in (0.5, 0.95, 0.99)]
        p50, p95, p99 = (round(1000 * point, 1) for point in points)
        return Lately(p50, p95, p99, sum(found.values()))
