"""What one connection may do, with what code it ends otherwise, and what is counted.

Close codes below 4400: reconnect and resume. From 4400: mend something first.
"""

from __future__ import annotations

import math

import msgspec

from herald_server.latencies import Latencies

NORMAL = 1000
SLOW = 4008
FULL = 4009
BEHIND = 4013
MEND_FIRST = 4400
"""The first of the codes after which something must be mended."""

BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
BAD_PROTOCOL = 4406
AUTH_TIMEOUT = 4408
RATE = 4429


MESSAGES = 500
MESSAGES_PER_S = 100
"""Messages of one WebSocket at once, and then a second."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may ask for. Shown in `hello`.

    A client that resumes may subscribe to everything at once; further
    subscribes come at `subscribes_per_s`.
    """

    subs: int = 50
    ids_per_sub: int = 1_000
    in_bytes: int = 65_536
    snapshot: int = 10_000
    subscribes_per_s: int = 10
    bad_messages: int = 10


class Tally(msgspec.Struct):
    """What the connections of a process were told, in numbers."""

    connections: int = 0
    frames: int = 0
    bytes: int = 0
    resets: dict[str, int] = {}
    closes: dict[int, int] = {}
    refusals: dict[str, int] = {}
    pushes: Latencies = msgspec.field(default_factory=Latencies)
    """From when a task changed to when a frame that tells it was handed over."""

    def refuse(self, reason: str) -> None:
        """Count what was refused, for a `reason` that is one of a few words."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1


class Allowance:
    """So many at once, then so many a second."""

    def __init__(self, most: float, per_second: float) -> None:
        self._most = most
        self._per_second = per_second
        self._left = float(most)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take one if there is one left by `now` (seconds)."""
        return self.wait(1, now) == 0.0

    def wait(self, number: float, now: float) -> float:
        """Take `number` and return 0, or take none and return for how long to wait."""
        refill = max(now - self._at, 0.0) * self._per_second
        self._left = min(self._left + refill, self._most)
        self._at = now
        if self._left < number:
            missing = number - self._left
            return missing / self._per_second if self._per_second else math.inf
        self._left -= number
        return 0.0
