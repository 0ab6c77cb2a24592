"""How long nothing has come through the broker, not even our own probes. Pure.

A connection that passes no data says nothing of itself: a frozen broker, or a route
that drops packets. Watchers are told of that before it is sure: a late stream is still
a stream, and a new connection would lose the messages on their way.
"""

from __future__ import annotations

PROBE_INTERVAL_S = 2.0
"""Seconds between two probes, which come back as any event does."""

REPORT_AFTER_PROBES = 1.75
"""Intervals of probes without any message, after which that is told: 3.5 s. A probe of
a well connection has 1.5 s for its way, and watchers are told within 6 s."""

RECONNECT_AFTER_PROBES = 5
"""Intervals after which the connection is given up."""

MAX_STEP_S = 1.0
"""Seconds that count between two reads: in more, this process did not run."""


class StreamSilence:
    """Counts the seconds in which reads found nothing since the last message.

    Only time in which this process read counts: after a suspended host, what arrived
    meanwhile is still unread. Times are of `time.monotonic()`.
    """

    def __init__(self, probe_every: float) -> None:
        self._report_after_s = REPORT_AFTER_PROBES * probe_every
        self._seconds = 0.0
        self._received_at = 0.0
        self._read_at = 0.0

    def is_long_since(self, received_at: float) -> bool:
        """Return True if a probe should have come back, and nothing came since then."""
        is_counted = self._received_at == received_at
        return is_counted and self._seconds >= self._report_after_s

    def record_empty_read(self, received_at: float, now: float) -> None:
        """Note that a read found nothing; the last message was received earlier."""
        if self._received_at != received_at:
            self._received_at = self._read_at = received_at
            self._seconds = 0.0
        self._seconds += min(max(now - self._read_at, 0.0), MAX_STEP_S)
        self._read_at = now
