"""Search in long texts without blocking the other threads.

One call of a regular expression holds Python's interpreter lock until it returns: 30 ms
and more for a megabyte. So long texts are searched in windows.
"""

from __future__ import annotations

import re

WINDOW_CHARS = 8_192
"""Characters that one call looks at: about 1 ms."""

OVERLAP_CHARS = 256
"""Characters by which windows overlap: the longest beginning that an expression needs
to match at a place. What it takes further is read from the whole text."""


def search_yielding(
    pattern: re.Pattern[str], text: str, begin: int = 0
) -> re.Match[str] | None:
    """Return the result of `pattern.search(text, begin)`.

    The pattern must need at most `OVERLAP_CHARS` characters to match at a position.
    """
    while len(text) - begin > WINDOW_CHARS:
        found = pattern.search(text, begin, begin + WINDOW_CHARS)
        if found and found.start() < begin + WINDOW_CHARS - OVERLAP_CHARS:
            return pattern.match(text, found.start())
        begin += WINDOW_CHARS - OVERLAP_CHARS
    return pattern.search(text, begin)
