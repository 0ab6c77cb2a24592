"""When to try again. Pure: chance comes as an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

LONGEST_ASKED = 3_600.0
"""Seconds for which an endpoint is left alone at most because it asked for it."""


class Pace(msgspec.Struct, frozen=True):
    """How often and for how long a message is tried. Times are in seconds.

    The n-th retry comes after `first * 2 ** (n - 1)`, at most `longest`, of which
    chance takes up to half (jitter). A message is given up after `tries` attempts
    that failed while others got through, or once it has failed for `give_up`.
    """

    first: float = 1.0
    longest: float = 300.0
    tries: int = 12
    give_up: float = 86_400.0
    open_after: int = 10
    """Failures in a row after which the endpoint is left alone."""
    open_first: float = 1.0
    open_longest: float = 15.0

    def pause(self, attempts: int, chance: float) -> float:
        """Return the pause after so many failed attempts; `chance` is in [0, 1)."""
        return _grown(self.first, self.longest, attempts, chance)

    def gives_up(self, attempts: int, failing: float) -> bool:
        """Say whether a message is given up that has been `failing` for so long."""
        return attempts >= self.tries or failing >= self.give_up

    def left_alone(self, times: int, chance: float) -> float:
        """Return how long an endpoint is left alone the `times`-th time in a row."""
        return _grown(self.open_first, self.open_longest, times, chance)


def _grown(first: float, longest: float, times: int, chance: float) -> float:
    # Bounded before it is raised: 2.0 ** 1100 is an error.
    return min(first * 2.0 ** min(times - 1, 60), longest) * (1 - chance / 2)


def retry_after(text: str | None, now: float) -> float:
    """Return the seconds that a `Retry-After` asks for (RFC 9110); 0 for none."""
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        # No more digits than are worth converting.
        return min(float(text.strip()[:9]), LONGEST_ASKED)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    wait = (at - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(wait, 0.0), LONGEST_ASKED)
