"""The signing secret: its required strength, and the keys derived from it.

The holder of a minted token can test guessed secrets against its signature offline.
Each guess is therefore made slow (scrypt, RFC 7914), and a weak secret is refused if
other machines can reach the server.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from functools import lru_cache

log = logging.getLogger(__name__)

MIN_LENGTH = 16
MIN_DIFFERENT = 8
"""Characters of a secret, and different ones among them."""

SALT = b"herald: secret of signatures, 1"
"""Constant: all servers with one secret must derive the same keys."""

SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 3
"""scrypt's N, r and p: 32 MiB, and a third of a second of one core. One of the settings
that OWASP's Password Storage Cheat Sheet takes for equal to the strongest it names."""

MAX_MEMORY_BYTES = 64 << 20


def derive_key(secret: str, purpose: bytes) -> bytes:
    """Return the 32-byte key of `secret` for one purpose.

    The first call for a secret takes a third of a second.
    """
    return hmac.digest(_stretch(secret), purpose, "sha256")


@lru_cache(maxsize=16)
def _stretch(secret: str) -> bytes:
    return hashlib.scrypt(
        secret.encode(),
        salt=SALT,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=MAX_MEMORY_BYTES,
        dklen=32,
    )


def find_weakness(secret: str) -> str | None:
    """Return why `secret` is easy to guess; None if it is not."""
    if len(secret) < MIN_LENGTH:
        return f"it has fewer than {MIN_LENGTH} characters"
    if len(set(secret)) < MIN_DIFFERENT:
        return f"it has fewer than {MIN_DIFFERENT} different characters"
    return None
