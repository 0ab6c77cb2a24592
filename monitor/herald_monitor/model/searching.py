"""Searching long texts of others without holding up all other threads.

One call of a regular expression holds Python's interpreter lock until it returns,
which takes 30 ms and more for a megabyte. So long texts are searched in windows.
"""

from __future__ import annotations

import re

WINDOW = 8_192
"""Characters that one call looks at: about 1 ms."""

OVERLAP = 256
"""Characters by which windows overlap: the longest beginning that an expression needs
to match at a place. What it takes further is read from the whole text."""


def search(pattern: re.Pattern[str], text: str, begin: int = 0) -> re.Match[str] | None:
    """Return what `pattern.search(text, begin)` does.

    The pattern must tell from `OVERLAP` characters whether it matches at a place.
    """
    while len(text) - begin > WINDOW:
        found = pattern.search(text, begin, begin + WINDOW)
        if found and found.start() < begin + WINDOW - OVERLAP:
            return pattern.match(text, found.start())
        begin += WINDOW - OVERLAP
    return pattern.search(text, begin)
