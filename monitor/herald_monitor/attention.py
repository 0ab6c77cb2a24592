"""Since when the monitor has listened without a break, and up to when it has read.

A host that sleeps, a process that is stopped and a clock that is set make all workers
look silent for as long, though nobody listened.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_PAUSE = 8.0
"""Seconds between two ticks beyond which the process was held up, or the clock set."""


ON_ITS_WAY = 1.0
"""Seconds that a probe may take through the broker before that is a lag."""


def read_until(
    now: float, *, empty_at: float, probed_until: float | None, under_way: float | None
) -> float:
    """Return the time before which all that was said is read (unix seconds).

    By our own clock alone. `empty_at` is when nothing was left on the line,
    `probed_until` when the newest of our probes was sent that came back (None while
    none did: then they tell nothing), `under_way` when the oldest that did not.
    """
    if probed_until is None:
        return min(empty_at, now)
    if under_way is not None and now - under_way > ON_ITS_WAY:
        # Whatever the line tells, the broker holds back what is older.
        return min(probed_until, now)
    return min(max(empty_at, probed_until), now)


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
