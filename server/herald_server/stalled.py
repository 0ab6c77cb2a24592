"""How many changes are kept for those clients of a token that take nothing now.

They share what is kept, whatever their number: who exceeds its part starts over once
it reads on. No I/O.
"""

from __future__ import annotations

CHANGES = 20_000
"""Changes that are kept for all stalled subscriptions of a token; 100 bytes each."""

IMAGES = 2 * 1024 * 1024
"""Bytes of images in them, as JSON; in memory a change is five times as large."""


class StalledShare:
    """The part of each of the `number` subscriptions of a token that are stalled."""

    __slots__ = ("changes", "images", "number")

    def __init__(self) -> None:
        self.number = 0
        self.changes = CHANGES
        self.images = IMAGES

    def add(self, number: int) -> None:
        """Note so many more stalled subscriptions, or fewer if it is negative."""
        self.number += number
        self.changes = CHANGES // max(self.number, 1)
        self.images = IMAGES // max(self.number, 1)
