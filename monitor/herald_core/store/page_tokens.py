"""Page tokens: the position of a walk through tasks, newest first.

A token is opaque to clients. It carries a check of its own, so that a text which Herald
did not issue is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

from herald_core.errors import InvalidCursor


class PagePosition(NamedTuple):
    """The position of a task in pages: its number, and its first arrival (ms)."""

    id: str
    number: int
    first: float


MAX_TOKEN_CHARS = 64
"""Characters of the longest token."""


def encode_token(number: int) -> str:
    """Return the token of a walk that has reached the task of this number."""
    body = str(number).encode()
    return base64.urlsafe_b64encode(_make_checksum(body) + body).decode().rstrip("=")


def decode_token(token: str) -> int:
    """Return the number in `token`. Raises `InvalidCursor`."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        body = raw[6:]
        if (
            len(token) <= MAX_TOKEN_CHARS
            and _make_checksum(body) == raw[:6]
            and body.isdigit()
        ):
            return int(body)
    except (binascii.Error, ValueError):
        pass
    raise InvalidCursor(
        f"{token[:40]!r} is no page token; pass back the `next` of a page, or none",
        "page",
    )


def _make_checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=6, person=b"herald pages").digest()
