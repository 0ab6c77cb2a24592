"""Whether a change may leave at once. Pure: time is an argument.

What a frame costs is the frame, not what is in it. As long as a process sends
few of them, each change leaves at once; above `RATE` all gather for a tick, so
that the work stays bounded and everybody gets a share. The tick is as short as
what is to be told allows.
"""

from __future__ import annotations

TICKS = (0.004, 0.05)
"""Seconds, at least and at most, for which changes are gathered under load."""

SHARE = 0.4
"""Of a process' time, what telling may take, as long as the longest tick allows."""

RATE = 2_000.0
"""Frames a second that a process sends without gathering: about a twentieth of
what it can."""

BURST = 400.0


class Pace:
    """The allowance of frames that all connections of a process share."""

    def __init__(
        self,
        ticks: tuple[float, float] = TICKS,
        rate: float = RATE,
        burst: float = BURST,
    ) -> None:
        self.tick, self.longest = ticks
        self._shortest = self.tick
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

    def told(self, took: float) -> None:
        """Note that it took so many seconds to tell what was gathered last."""
        self.tick = min(max(took / SHARE, self._shortest), self.longest)
