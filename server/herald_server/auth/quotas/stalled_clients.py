"""Limit the changes kept for the clients of a token that do not read.

They share the limit, whatever their number: a subscription that exceeds its share
starts over once its client reads. No I/O.
"""

from __future__ import annotations

MAX_CHANGES = 20_000
"""Changes kept for all stalled subscriptions of a token; 100 bytes each."""

MAX_IMAGE_BYTES = 2 * 1024 * 1024
"""Bytes of images in them, as JSON; in memory a change is five times as large."""


class StalledShare:
    """The share of each of the `number` stalled subscriptions of a token."""

    __slots__ = ("changes", "images", "number")

    def __init__(self) -> None:
        self.number = 0
        self.changes = MAX_CHANGES
        self.images = MAX_IMAGE_BYTES

    def add(self, number: int) -> None:
        """Add `number` stalled subscriptions, or remove them if it is negative."""
        self.number += number
        self.changes = MAX_CHANGES // max(self.number, 1)
        self.images = MAX_IMAGE_BYTES // max(self.number, 1)
