"""Hashes of passwords in a herald.toml: scrypt (RFC 7914), with a salt of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from herald_core.errors import InvalidInput

PREFIX = "scrypt:"
SALT_BYTES = 16
HASH_BYTES = 32
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 14, 8, 5
"""scrypt's N, r and p: one of the settings of OWASP's Password Storage Cheat Sheet."""

MAX_MEMORY_BYTES = 64 << 20


def hash_password(password: str) -> str:
    """Return the hash of `password` for a herald.toml. It takes a tenth of a second."""
    salt = secrets.token_bytes(SALT_BYTES)
    raw = salt + _stretch(password, salt)
    return PREFIX + base64.urlsafe_b64encode(raw).decode()


def is_password(password: str, hashed: str) -> bool:
    """Return True if `hashed` is the hash of `password`."""
    raw = _decode(hashed)
    salt, expected = raw[:SALT_BYTES], raw[SALT_BYTES:]
    return hmac.compare_digest(_stretch(password, salt), expected)


def check_password_hash(hashed: str) -> None:
    """Raise `InvalidInput` if `hashed` is none of `hash_password`."""
    try:
        is_whole = len(_decode(hashed)) == SALT_BYTES + HASH_BYTES
    except ValueError:
        is_whole = False
    if not hashed.startswith(PREFIX) or not is_whole:
        raise InvalidInput(
            "password must be a hash; `herald token --password` makes it"
        )


def _decode(hashed: str) -> bytes:
    return base64.urlsafe_b64decode(hashed.removeprefix(PREFIX))


def _stretch(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=MAX_MEMORY_BYTES,
        dklen=HASH_BYTES,
    )
