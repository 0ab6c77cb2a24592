"""How fast events come, and how long to wait so that more of them come together."""

from __future__ import annotations

import asyncio
import time

BUSY = 1_000.0
"""Events a second from which on batches are begun apart: what each costs by itself
is more than its events do. Below it nothing waits."""

APART = (0.003, 0.015)
"""Seconds, at least and at most."""

GROWTH = 10e-6
"""Seconds for each event a second beyond `3 * BUSY`: all of it at 4,100."""

SMOOTH = 0.1
"""Seconds over which the pace is measured."""


class Pace:
    """Events a second, measured from one batch to the next."""

    def __init__(self) -> None:
        self._taken_at = 0.0
        self._pace = 0.0

    async def gather(self) -> None:
        """Let more events come if many do."""
        if self._pace > BUSY:
            least, most = APART
            apart = least + max(self._pace - 3 * BUSY, 0.0) * GROWTH
            left = min(apart, most) - (time.monotonic() - self._taken_at)
            if left > 0:
                await asyncio.sleep(left)

    def note(self, events: int) -> None:
        """Note that so many were taken now."""
        now = time.monotonic()
        passed = max(now - self._taken_at, 1e-6)
        self._pace += (events / passed - self._pace) * min(passed / SMOOTH, 1.0)
        self._taken_at = now


LONGEST_READ_S = 0.05
"""CPU time in which a batch should be read: a full one of usual events takes 0.03."""


class BatchSize:
    """How many events are read at once: at most `most`, fewer while they take long.

    A hostile event takes a thousand times as long to read as a usual one, and nothing
    else on the loop goes on meanwhile.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.events = most

    def note(self, events: int, took: float) -> None:
        """Note that so many events took so many seconds of CPU time to read."""
        if took > LONGEST_READ_S:
            self.events = max(int(events * LONGEST_READ_S / took), 1)
        else:
            self.events = min(2 * self.events, self._most)
