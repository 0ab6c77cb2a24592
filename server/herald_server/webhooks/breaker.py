"""A circuit breaker: an endpoint that fails again and again is left alone. Pure.

Closed: all may be sent. Open: nothing, until a time. Half open: a few messages go
as probes; once one is accepted the breaker closes, and if none is it opens for
longer. A few, not one: an endpoint that fails now and then must not stay shut out.
"""

from __future__ import annotations

from herald_server.webhooks.backoff import Pace

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"

PROBES = 3


class Breaker:
    """The breaker of one endpoint. Times are in seconds of any one clock."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._times = 0
        self._probes = 0
        self.state = CLOSED
        self.until = 0.0
        """When the next probes may go, while it is open."""

    def lets(self, now: float) -> bool:
        """Say whether a message may go now. Each yes when not closed is a probe."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN and now >= self.until:
            self.state, self._failures, self._probes = HALF_OPEN, 0, PROBES
        if self.waits:
            return False
        self._probes -= 1
        return True

    @property
    def waits(self) -> bool:
        """Whether nothing may go, or not before `until`."""
        return self.state == OPEN or (self.state == HALF_OPEN and not self._probes)

    def accepted(self) -> None:
        """Note a message that was accepted."""
        self.state, self._failures, self._times = CLOSED, 0, 0

    def failed(self, now: float, chance: float) -> None:
        """Note a message that was not."""
        self._failures += 1
        most = PROBES if self.state == HALF_OPEN else self._pace.open_after
        # What was under way when it opened says nothing new.
        if self.state == OPEN or self._failures < most:
            return
        self._times += 1
        self.state = OPEN
        self.until = now + self._pace.left_alone(self._times, chance)

    def wait(self, until: float) -> None:
        """Stay open until then: the endpoint asked for it."""
        self.state, self.until = OPEN, max(self.until, until)
