"""Page tokens of narrow tokens, encrypted.

A page token names the task at which a walk stands by its number among all tasks.
To a caller who sees only some, that number would tell how many others there are.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from herald_monitor.errors import BadCursor
from herald_monitor.model.codec import to_json
from herald_monitor.model.filters import Filter
from herald_server.tokens.claims import written
from herald_server.tokens.secret import derived_key

PURPOSE = b"herald: key of page tokens, 2"
NONCE_BYTES = 12
MAX_LENGTH = 256
"""Characters of the longest sealed token."""


class PageSeal:
    """Encrypts page tokens with a key derived from `secret` (RFC 8439).

    Each is bound to what its caller may see: another one's opens nothing.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = ChaCha20Poly1305(derived_key(secret, PURPOSE))

    def close(self, token: str, only: Filter) -> str:
        """Return `token` as a caller who may see `only` is given it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, token.encode(), _bound(only))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str, only: Filter) -> str:
        """Return the token in `sealed`. Raises `BadCursor`."""
        try:
            padded = sealed.encode("ascii") + b"=" * (-len(sealed) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            if len(sealed) > MAX_LENGTH or len(raw) <= NONCE_BYTES:
                raise BadCursor(_refusal(sealed), "page")
            nonce, body = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, body, _bound(only)).decode()
        except (binascii.Error, ValueError, InvalidTag):
            raise BadCursor(_refusal(sealed), "page") from None


def _bound(only: Filter) -> bytes:
    return to_json(written(only))


def _refusal(sealed: str) -> str:
    return (
        f"{sealed[:40]!r} is no page token of yours; pass back the `next` of a page, "
        "or none"
    )
