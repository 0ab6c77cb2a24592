"""The pace of an order: how many tasks at once, and when the next. Pure."""

from __future__ import annotations

from typing import Final

MAX_CHUNK: Final = 100
"""Tasks that are sent between two stored states: as many are unconfirmed if the process
dies."""

MAX_WAIT_S: Final = 0.5
"""Seconds that one chunk should take at the rate of the order, so that a stop and the
progress are seen soon."""


def compute_chunk(per_second: float, limit: int = MAX_CHUNK) -> int:
    """Return the number of tasks to send at once."""
    return max(min(int(per_second * MAX_WAIT_S), limit), 1)


class RateLimiter:
    """Keeps the rate of an order: `per_second` tasks. Times are monotonic seconds.

    Time that was not used is not made up for.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._next_at = 0.0

    def record(self, number: int, began_at: float) -> None:
        """Record that sending `number` tasks began at `began_at`."""
        first = max(self._next_at, began_at)
        self._next_at = first + number / self._per_second

    def compute_wait(self, now: float) -> float:
        """Return the seconds until more may be sent."""
        return max(self._next_at - now, 0.0)
