"""The cookies of a session, and their encryption.

A session's cookie holds a token of Herald's own (`auth/tokens/issuer.py`). What else is
stored for a sign-in is encrypted: the state of a login in a cookie, and the refresh
token of the provider in the store.
"""

from __future__ import annotations

import base64
import secrets
from http.cookies import CookieError, SimpleCookie

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from herald_server.auth.identity import DEFAULT_ENVIRONMENT
from herald_server.auth.tokens.secret import derive_key

PURPOSE = b"herald: key of single sign-on, 1"
NONCE_BYTES = 12
SESSION = "session"
LOGIN = "login"


def name_cookie(kind: str, environment: str) -> str:
    """Return the kind of a cookie of an environment: each has its own, since one with
    `__Host-` is sent to all of them."""
    return kind if environment == DEFAULT_ENVIRONMENT else f"{kind}-{environment}"


def get_cookie_name(kind: str, is_secure: bool) -> str:
    """Return the name of a cookie.

    With TLS it has the prefix `__Host-`: browsers take such a cookie only from this
    host itself, for all paths, over TLS.
    """
    return f"__Host-herald-{kind}" if is_secure else f"herald-{kind}"


def format_cookie(
    kind: str, value: str, max_age: float, *, is_secure: bool, path: str = "/"
) -> str:
    """Return the value of a Set-Cookie header; `max_age` is in seconds, 0 deletes."""
    # `__Host-` needs the path /.
    place = "/" if is_secure else path or "/"
    end = "; Secure" if is_secure else ""
    name = get_cookie_name(kind, is_secure)
    return (
        f"{name}={value}; Path={place}; Max-Age={max(int(max_age), 0)}; HttpOnly;"
        f" SameSite=Lax{end}"
    )


def read_cookie(header: str | None, kind: str, is_secure: bool) -> str | None:
    """Return a cookie of a Cookie header; None if there is none."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(header or "")
    except CookieError:
        return None
    found = jar.get(get_cookie_name(kind, is_secure))
    return found.value or None if found is not None else None


class LoginState(msgspec.Struct, frozen=True):
    """A login under way: what the answer of the provider is compared with.

    `until` is in unix seconds; `redirect` is the URL the provider returns to.
    """

    state: str
    nonce: str
    verifier: str
    redirect: str
    until: float


class SsoCipher:
    """Encrypts texts for a purpose, with a key derived from `secret` (RFC 8439)."""

    def __init__(self, secret: str) -> None:
        self._cipher = ChaCha20Poly1305(derive_key(secret, PURPOSE))

    def encrypt(self, text: bytes, purpose: str) -> str:
        """Return `text`, encrypted."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text, purpose.encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def decrypt(self, sealed: str, purpose: str) -> bytes | None:
        """Return the text; None if it was not encrypted here for this purpose."""
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            nonce, body = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, body, purpose.encode())
        except (ValueError, InvalidTag):
            return None
