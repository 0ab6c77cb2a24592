"""Page tokens: where a walk through tasks, newest first, has come to.

A token is opaque to clients. It carries a check of its own, so that text which
Herald never gave out is refused instead of leading somewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from typing import NamedTuple

from herald_monitor.errors import BadCursor
from herald_monitor.model.events import MAX_ID


class Spot(NamedTuple):
    """The place of a task: when it was first heard of (ms), then its id."""

    first: float
    id: str


def write_token(spot: Spot) -> str:
    """Return the token of `spot`."""
    body = f"{spot.first!r} {spot.id}".encode()
    return base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def read_token(token: str) -> Spot:
    """Return where `token` stands. Raises `BadCursor`."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        body = raw[6:]
        if len(token) <= 8 * MAX_ID and _check(body) == raw[:6]:
            first, _, id_ = body.decode().partition(" ")
            if id_ and math.isfinite(float(first)):
                return Spot(float(first), id_)
    except (binascii.Error, ValueError):
        pass
    raise BadCursor(
        f"{token[:40]!r} is no page token; pass back the `next` of a page, or none",
        "page",
    )


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=6, person=b"herald page").digest()
