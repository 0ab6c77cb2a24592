"""Decide whether a change is flushed immediately or batched. Pure: time is an argument.

The cost is per frame, not per change. At a low rate each change is flushed immediately;
above `MAX_RATE_PER_S` all changes wait for a tick, so that the work stays bounded and
every connection gets its share. The tick is as short as the load allows.
"""

from __future__ import annotations

TICK_RANGE_S = (0.004, 0.05)
"""Minimum and maximum seconds for which changes are collected under load."""

BUSY_SHARE = 0.4
"""Share of the time of a process for flushing, within the longest tick."""

MAX_RATE_PER_S = 2_000.0
"""Frames a second that a process sends without gathering: about a twentieth of
what it can."""

MAX_BURST = 400.0


class FlushRate:
    """The rate of immediate frames that all connections of a process share."""

    def __init__(
        self,
        ticks: tuple[float, float] = TICK_RANGE_S,
        rate: float = MAX_RATE_PER_S,
        burst: float = MAX_BURST,
    ) -> None:
        self.tick, self.longest = ticks
        self._shortest = self.tick
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = 0.0

    def try_acquire(self, now: float) -> bool:
        """Return True and take one immediate frame if there is one left at `now`."""
        left = self._left + (now - self._at) * self._rate
        self._left = min(left, self._burst)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def record_round(self, took: float) -> None:
        """Record how many seconds the last batch took."""
        self.tick = min(max(took / BUSY_SHARE, self._shortest), self.longest)
