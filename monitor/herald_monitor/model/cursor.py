"""Where in the changes: `E-n`, an epoch in milliseconds and a dense number in it.

A reader that sees another `E`, or an `n` that is not the one before plus one,
has missed something and must start over (push protocols call this a reset).

A store of several partitions has as many logs, and their places look otherwise:
see vector.py.
"""

from __future__ import annotations

from typing import NamedTuple

from herald_monitor.errors import BadCursor


class Cursor(NamedTuple):
    """A place in the log; compares by epoch, then number."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"

    def follows(self, before: Cursor) -> bool:
        """Say whether nothing can lie between `before` and this."""
        return self.epoch == before.epoch and self.n == before.n + 1


START = Cursor(0, 0)
"""Before everything: the place of an empty log."""


def parse_cursor(text: str) -> Cursor:
    """Return the cursor written as `text`.

    Raises `BadCursor` with a sentence if `text` was never a cursor.
    """
    epoch, dash, n = text.partition("-")
    if not (dash and _number(epoch) and _number(n)):
        raise BadCursor(
            f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
            "since",
        )
    return Cursor(int(epoch), int(n))


def _number(text: str) -> bool:
    # isdigit() alone would let through digits of other scripts and huge numbers.
    return text.isascii() and text.isdigit() and len(text) <= 20
