"""Encrypt page tokens of task-scoped tokens.

A page token contains the number of a task among all tasks. To a caller who sees only
some, that number would reveal how many others there are.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from herald_core.errors import InvalidCursor
from herald_core.model.codec import to_json
from herald_core.model.filters import Filter
from herald_server.auth.tokens.claims import encode_filter_claim
from herald_server.auth.tokens.secret import derive_key

PURPOSE = b"herald: key of page tokens, 2"
NONCE_BYTES = 12
MAX_TOKEN_CHARS = 256
"""Characters of the longest sealed token."""


class PageTokenCipher:
    """Encrypts page tokens with a key derived from `secret` (RFC 8439).

    Each is bound to its caller's filter: it cannot be used with another one.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = ChaCha20Poly1305(derive_key(secret, PURPOSE))

    def encrypt(self, token: str, only: Filter) -> str:
        """Return `token`, encrypted for a caller with the filter `only`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, token.encode(), _bind_to(only))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def decrypt(self, sealed: str, only: Filter) -> str:
        """Return the decrypted token. Raises `InvalidCursor`."""
        try:
            padded = sealed.encode("ascii") + b"=" * (-len(sealed) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            if len(sealed) > MAX_TOKEN_CHARS or len(raw) <= NONCE_BYTES:
                raise InvalidCursor(_make_refusal(sealed), "page")
            nonce, body = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, body, _bind_to(only)).decode()
        except (binascii.Error, ValueError, InvalidTag):
            raise InvalidCursor(_make_refusal(sealed), "page") from None


def _bind_to(only: Filter) -> bytes:
    return to_json(encode_filter_claim(only))


def _make_refusal(sealed: str) -> str:
    return (
        f"{sealed[:40]!r} is no page token of yours; pass back the `next` of a page, "
        "or none"
    )
