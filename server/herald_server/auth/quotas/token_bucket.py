"""A token bucket."""

from __future__ import annotations

import math


class TokenBucket:
    """Token bucket: `capacity` at once, then `per_second`."""

    def __init__(self, capacity: float, per_second: float) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._left = float(capacity)
        self._at = 0.0

    def try_acquire(self, now: float) -> bool:
        """Return True and take one if there is one left at `now` (seconds)."""
        return self.acquire_or_wait(1, now) == 0.0

    def acquire_or_wait(self, number: float, now: float) -> float:
        """Take `number` and return 0, or take none and return the seconds to wait."""
        refill = max(now - self._at, 0.0) * self._per_second
        self._left = min(self._left + refill, self._capacity)
        self._at = now
        if self._left < number:
            missing = number - self._left
            return missing / self._per_second if self._per_second else math.inf
        self._left -= number
        return 0.0
