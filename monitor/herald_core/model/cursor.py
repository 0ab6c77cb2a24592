"""A position in the change log: `E-n`, an epoch in milliseconds and a dense number.

A reader that receives another `E`, or an `n` that does not follow the previous one, has
missed a change and must start over. Push protocols call this a reset.

A partitioned store has one log for each partition and another cursor: see
vector_cursor.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from herald_core.errors import InvalidCursor

WRITTEN = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


class Cursor(NamedTuple):
    """A place in the log; compares by epoch, then number."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"

    def is_next_after(self, before: Cursor) -> bool:
        """Return True if no entry can lie between `before` and this cursor."""
        return self.epoch == before.epoch and self.n == before.n + 1


START = Cursor(0, 0)
"""Before everything: the place of an empty log."""


def parse_cursor(text: str) -> Cursor:
    """Return the cursor written as `text`.

    Raises `InvalidCursor` with a sentence if `text` was never a cursor.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidCursor(
            f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
            "since",
        )
    return Cursor(int(found[1]), int(found[2]))
