"""Connections that nobody uses just now. Those that a burst needed are closed again."""

from __future__ import annotations

from typing import Generic, TypeVar

IDLE_S = 5.0
"""Seconds after which a connection that nobody used is closed."""

Line = TypeVar("Line")


class IdleLines(Generic[Line]):
    """A stack: the line that was used last is used next, so that others grow cold.

    Lines that were closed stay in it; they connect anew when they are used. Times are
    monotonic seconds.
    """

    __slots__ = ("_closed", "_lines")

    def __init__(self) -> None:
        self._lines: list[tuple[Line, float]] = []
        self._closed = 0
        """How many of the first were closed."""

    def take(self) -> Line | None:
        """Return the line that was used last; None if there is none."""
        if not self._lines:
            return None
        line, _ = self._lines.pop()
        self._closed = min(self._closed, len(self._lines))
        return line

    def give(self, line: Line, now: float) -> None:
        """Take back a line that was used until `now`."""
        self._lines.append((line, now))

    def cold(self, now: float) -> list[Line]:
        """Return the lines that are to be closed, each of them once."""
        found: list[Line] = []
        for line, used in self._lines[self._closed :]:
            if used > now - IDLE_S:
                break
            found.append(line)
        self._closed += len(found)
        return found
