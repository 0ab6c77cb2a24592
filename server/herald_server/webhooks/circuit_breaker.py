"""Circuit breaker of an endpoint that keeps failing. Pure.

Closed: all messages are sent. Open: none, until a time. Half open: a few messages are
sent as probes; once one is accepted the breaker closes, and if none is it opens for
longer. Several probes, because an endpoint that fails occasionally must not stay
blocked.
"""

from __future__ import annotations

from herald_server.webhooks.retry_policy import RetryPolicy

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"

MAX_PROBES = 3


class CircuitBreaker:
    """The breaker of one endpoint. Times are in seconds of any one clock."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._open_count = 0
        self._probes = 0
        self.state = CLOSED
        self.until = 0.0
        """When the next probes may go, while it is open."""

    def try_acquire(self, now: float) -> bool:
        """Return True if a message may be sent now. If not closed, it is a probe."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN and now >= self.until:
            self.state, self._failures, self._probes = HALF_OPEN, 0, MAX_PROBES
        if self.is_waiting:
            return False
        self._probes -= 1
        return True

    @property
    def is_waiting(self) -> bool:
        """Whether nothing may be sent, or not before `until`."""
        return self.state == OPEN or (self.state == HALF_OPEN and not self._probes)

    def on_success(self) -> None:
        """Record an accepted message."""
        self.state, self._failures, self._open_count = CLOSED, 0, 0

    def on_failure(self, now: float, chance: float) -> None:
        """Record a failed attempt."""
        self._failures += 1
        limit = MAX_PROBES if self.state == HALF_OPEN else self._policy.open_after
        # Results of messages sent before it opened say nothing new.
        if self.state == OPEN or self._failures < limit:
            return
        self._open_count += 1
        self.state = OPEN
        self.until = now + self._policy.open_for(self._open_count, chance)

    def open_until(self, until: float) -> None:
        """Stay open until then: the endpoint requested it."""
        self.state, self.until = OPEN, max(self.until, until)
