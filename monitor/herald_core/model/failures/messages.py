"""Messages without what differs between two failures of one cause."""

from __future__ import annotations

import re

MAX_MESSAGE_CHARS = 1_024
"""Characters of a message that are read."""

MAX_NORMAL_CHARS = 200
"""Characters of a normalized message."""

_NAMED = re.compile(r"[^\W\d]\w{0,255}\((.*)\)", re.DOTALL)
_VARIABLE = re.compile(
    r"'[^'\n]*'|\"[^\"\n]*\""
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+(?:[.,:]\d+)*",
    re.IGNORECASE,
)
"""Quoted texts, UUIDs, hexadecimal and other numbers."""


def normalize_message(text: str) -> str:
    """Return `text` with `#` for quoted texts, ids and numbers.

    `text` is a message, or the `repr` of an exception.
    """
    inner = _strip_quotes(_strip_name(text[:MAX_MESSAGE_CHARS]))
    normal = " ".join(_VARIABLE.sub("#", inner).split())
    return normal[:MAX_NORMAL_CHARS]


def _strip_name(text: str) -> str:
    """Return the arguments of the `repr` of an exception."""
    found = _NAMED.fullmatch(text.strip())
    return found[1] if found else text


def _strip_quotes(text: str) -> str:
    """Return the message of a `repr` with one text as its only argument."""
    text = text.strip().removesuffix(",")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text
