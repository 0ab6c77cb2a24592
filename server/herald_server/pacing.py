"""Whether a change may leave at once. Pure: time is an argument.

What a frame costs is the frame, not what is in it. As long as a process sends
few of them, each change leaves at once; above `RATE` all gather for a tick, so
that the work stays bounded and everybody gets a share.
"""

from __future__ import annotations

TICK = 0.05
"""Seconds for which changes are gathered under load."""

RATE = 2_000.0
"""Frames a second that a process sends without gathering: about a twentieth of
what it can."""

BURST = 400.0


class Pace:
    """The allowance of frames that all connections of a process share."""

    def __init__(
        self, tick: float = TICK, rate: float = RATE, burst: float = BURST
    ) -> None:
        self.tick = tick
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take a frame that leaves at once, if there is one left by `now`."""
        left = self._left + (now - self._at) * self._rate
        self._left = min(left, self._burst)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
