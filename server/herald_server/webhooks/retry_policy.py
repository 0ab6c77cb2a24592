"""Retry policy. Pure: the random number is an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from herald_core.system.backoff import compute_pause

MAX_RETRY_AFTER_S = 3_600.0
"""Maximum seconds for which the `Retry-After` of an endpoint is respected."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and for how long a message is retried. Times are in seconds.

    The n-th retry comes after `first * 2 ** (n - 1)`, at most `longest`, minus up to
    half of it (jitter). A message is given up after `tries` failed attempts while
    others succeeded, or once it has failed for `give_up`.
    """

    first: float = 1.0
    longest: float = 300.0
    tries: int = 12
    give_up: float = 86_400.0
    open_after: int = 10
    """Successive failures after which no message is sent for a time."""
    open_first: float = 1.0
    open_longest: float = 15.0

    def compute_pause(self, attempts: int, chance: float) -> float:
        """Return the pause after `attempts` failures; `chance` is in [0, 1)."""
        return compute_pause(self.first, self.longest, attempts - 1, chance / 2)

    def is_exhausted(self, attempts: int, failing: float) -> bool:
        """Return True if a message that has been `failing` so long is given up."""
        return attempts >= self.tries or failing >= self.give_up

    def open_for(self, times: int, chance: float) -> float:
        """Return how long the breaker is open the `times`-th time in a row."""
        return compute_pause(self.open_first, self.open_longest, times - 1, chance / 2)


def parse_retry_after(text: str | None, now: float) -> float:
    """Return the seconds of a `Retry-After` header (RFC 9110); 0 for none."""
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        # Not more digits than can be converted cheaply.
        return min(float(text.strip()[:9]), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    wait = (at - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)
