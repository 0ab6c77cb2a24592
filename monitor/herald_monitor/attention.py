"""Since when the monitor has listened without a break.

A host that sleeps, a process that is stopped and a clock that is set make all workers
look silent for as long, though nobody listened.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_PAUSE = 8.0
"""Seconds between two ticks beyond which the process was held up, or the clock set."""


class Attention:
    """Notes breaks by the clocks; `connected_since` tells of those in the connection.

    `tick` is called about once a second. All times are unix seconds.
    """

    def __init__(
        self, connected_since: Callable[[], float], now: float | None = None
    ) -> None:
        self._connected_since = connected_since
        self._since = self._ticked = time.time() if now is None else now

    def tick(self, now: float | None = None) -> None:
        """Note that the process runs."""
        now = time.time() if now is None else now
        if not -1.0 <= now - self._ticked <= MOST_PAUSE:
            self._since = now
        self._ticked = now

    def since(self, now: float | None = None) -> float:
        """Return since when nothing was in the way of hearing workers."""
        self.tick(now)
        return max(self._since, self._connected_since())
