"""Throttle notifications: at most one per second and item. Pure, no clock."""

from __future__ import annotations

INTERVAL_S = 1.0
"""Minimum seconds between two notifications about the same resource."""


class Throttle:
    """Changed items, and when each may be sent. Times are in seconds.

    The first change after a pause is due at once, further ones are merged. An end is
    always due at once.
    """

    def __init__(self, pause: float = INTERVAL_S) -> None:
        self._pause = pause
        self._changed: dict[str, float] = {}
        self._sent: dict[str, float] = {}

    def record(self, thing: str, now: float, ending: bool = False) -> None:
        """Record that `thing` changed."""
        sent_at = self._sent.get(thing)
        at = now if sent_at is None or ending else max(now, sent_at + self._pause)
        self._changed[thing] = min(at, self._changed.get(thing, at))

    def take_due(self, now: float) -> list[str]:
        """Return the items that may be sent now, and mark them as sent."""
        things = [thing for thing, at in self._changed.items() if at <= now]
        for thing in things:
            del self._changed[thing]
            self._sent[thing] = now
        return things

    def compute_delay(self, now: float) -> float | None:
        """Return the seconds until an item is due; None if nothing changed."""
        if not self._changed:
            return None
        return max(min(self._changed.values()) - now, 0.0)
