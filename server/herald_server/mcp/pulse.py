"""When to tell what changed: each thing at most once a second. Pure, no clock."""

from __future__ import annotations

PAUSE = 1.0
"""Seconds between two tellings of one thing."""


class Pulse:
    """Things that changed, and when each may be told. Times are in seconds.

    The first change after quiet may be told at once, further ones are gathered.
    An ending is told at once, whatever came before.
    """

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._changed: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def note(self, thing: str, now: float, ending: bool = False) -> None:
        """Take note that `thing` changed."""
        told = self._told.get(thing)
        at = now if told is None or ending else max(now, told + self._pause)
        self._changed[thing] = min(at, self._changed.get(thing, at))

    def due(self, now: float) -> list[str]:
        """Return what may be told now, and take it as told."""
        things = [thing for thing, at in self._changed.items() if at <= now]
        for thing in things:
            del self._changed[thing]
            self._told[thing] = now
        return things

    def wait(self, now: float) -> float | None:
        """Return seconds until something may be told; None if nothing changed."""
        if not self._changed:
            return None
        return max(min(self._changed.values()) - now, 0.0)
