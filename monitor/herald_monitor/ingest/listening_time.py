"""The start of uninterrupted listening, and the time up to which events are read.

A suspended host, a stopped process and a changed clock make all workers look silent for
as long, although no monitor listened.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_PAUSE_S = 8.0
"""Seconds between two ticks beyond which the process was held up, or the clock set."""


MAX_TRANSIT_S = 1.0
"""Seconds that a probe may take through the broker before that is a lag."""


def get_read_until(
    now: float, *, empty_at: float, probed_until: float | None, under_way: float | None
) -> float:
    """Return the time before which all published events are read (unix seconds).

    By our own clock alone. `empty_at` is when the connection had no more data.
    `probed_until` is the send time of the newest probe that came back (None if none
    did: then probes are ignored). `pending_probes` is the send time of the oldest that
    did not.
    """
    if probed_until is None:
        return min(empty_at, now)
    if under_way is not None and now - under_way > MAX_TRANSIT_S:
        # Whatever the connection shows, the broker holds older events back.
        return min(probed_until, now)
    return min(max(empty_at, probed_until), now)


class ListeningClock:
    """The record of breaks in the clocks; `connected_since` adds those of the
    connection.

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
        if not -1.0 <= now - self._ticked <= MAX_PAUSE_S:
            self._since = now
        self._ticked = now

    def get_start(self, now: float | None = None) -> float:
        """Return the time since which no break prevented receiving events."""
        self.tick(now)
        return max(self._since, self._connected_since())
