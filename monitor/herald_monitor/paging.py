"""Page tokens: where a walk through tasks, newest first, has come to.

A token is opaque to clients. It carries a check of its own, so that text which
Herald never gave out is refused instead of leading somewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

from herald_monitor.errors import BadCursor


class Spot(NamedTuple):
    """Where a task stands in pages: its number, and when it was first heard of (ms)."""

    id: str
    number: int
    first: float


LONGEST = 64
"""Characters of the longest token."""


def write_token(number: int) -> str:
    """Return the token of a walk that has come to the task of this number."""
    body = str(number).encode()
    return base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def read_token(token: str) -> int:
    """Return the number at which `token` stands. Raises `BadCursor`."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        body = raw[6:]
        if len(token) <= LONGEST and _check(body) == raw[:6] and body.isdigit():
            return int(body)
    except (binascii.Error, ValueError):
        pass
    raise BadCursor(
        f"{token[:40]!r} is no page token; pass back the `next` of a page, or none",
        "page",
    )


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=6, person=b"herald pages").digest()
