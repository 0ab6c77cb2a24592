"""The rate of events, and the delay that lets more of them arrive in one batch."""

from __future__ import annotations

import asyncio
import time

BUSY_EVENTS_PER_S = 1_000.0
"""Events a second from which on batches are begun apart: what each costs by itself
is more than its events do. Below it nothing waits."""

BATCH_INTERVAL_S = (0.003, 0.015)
"""Seconds, at least and at most."""

INTERVAL_GROWTH_S = 10e-6
"""Seconds for each event a second beyond `3 * BUSY`: all of it at 4,100."""

SMOOTHING_FACTOR = 0.1
"""Seconds over which the pace is measured."""


class BatchPacer:
    """Events a second, measured from one batch to the next."""

    def __init__(self) -> None:
        self._taken_at = 0.0
        self._events_per_s = 0.0

    async def pause(self) -> None:
        """Let more events come if many do."""
        if self._events_per_s > BUSY_EVENTS_PER_S:
            least, most = BATCH_INTERVAL_S
            apart = (
                least
                + max(self._events_per_s - 3 * BUSY_EVENTS_PER_S, 0.0)
                * INTERVAL_GROWTH_S
            )
            left = min(apart, most) - (time.monotonic() - self._taken_at)
            if left > 0:
                await asyncio.sleep(left)

    def record(self, events: int) -> None:
        """Record that a number of events was taken now."""
        now = time.monotonic()
        passed = max(now - self._taken_at, 1e-6)
        self._events_per_s += (events / passed - self._events_per_s) * min(
            passed / SMOOTHING_FACTOR, 1.0
        )
        self._taken_at = now


LONGEST_READ_S = 0.05
"""CPU time in which a batch should be read: a full one of usual events takes 0.03."""


class BatchSize:
    """The number of events to parse at once: at most `most`, fewer if they are slow.

    A hostile event takes a thousand times as long to parse as a usual one, and blocks
    the loop meanwhile.
    """

    def __init__(self, most: int) -> None:
        self._max_events = most
        self.events = most

    def record(self, events: int, took: float) -> None:
        """Record the seconds of CPU time that a number of events took to parse."""
        if took > LONGEST_READ_S:
            self.events = max(int(events * LONGEST_READ_S / took), 1)
        else:
            self.events = min(2 * self.events, self._max_events)
