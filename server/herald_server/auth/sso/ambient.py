"""Credentials that a browser sends by itself: a session's cookie, a proxy's headers, or
a password. They become a token of Herald's own, which is verified as any other.

A page of another origin must not use them: a request that changes anything must carry
the header `X-Herald-Request`, which such a page cannot send, and an `Origin`, if it has
one, of this server. A WebSocket must have that `Origin`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity
from herald_server.auth.sso.cookies import SESSION, name_cookie, read_cookie
from herald_server.auth.sso.mapping import make_identity
from herald_server.auth.sso.passwords import hash_password, is_password
from herald_server.auth.sso.settings import SsoSettings, SsoUser
from herald_server.auth.tokens.claims import BadToken
from herald_server.auth.tokens.issuer import TokenIssuer
from herald_server.auth.tokens.revocation import RevocationList

SAFE_METHODS = frozenset(["GET", "HEAD", "OPTIONS"])
REQUEST_HEADER = "x-herald-request"
USER_HEADER = "x-forwarded-user"
GROUPS_HEADER = "x-forwarded-groups"
TRUSTED_PEER = "herald.trusted_peer"
"""Key of a scope: whether the peer itself is a proxy of HERALD_PROXY_HEADERS."""

AMBIENT_TOKEN = "ambient_token"
"""Key of a request's state: the token of what a browser sent by itself."""

MAX_CACHED = 1_000
RENEW_BEFORE_S = 300.0
"""Seconds before its end at which the token of a proxy's user is made anew."""

FORGED_MESSAGE = (
    "a request that a browser signs by itself must come from this server's own pages,"
    " with the header X-Herald-Request; send a token instead"
)
WRONG_PASSWORD = "the user name or the password is wrong"


class ForgedRequest(BadToken):
    """Ambient credentials came with a request that another page may have sent."""


class AmbientCredentials:
    """Finds the token of a request without `Authorization: Bearer`."""

    def __init__(
        self,
        settings: SsoSettings,
        issuer: TokenIssuer,
        revocations: RevocationList,
        environment: str = DEFAULT_ENVIRONMENT,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._issuer = issuer
        self._revocations = revocations
        self._users = {one.name: one for one in settings.users}
        self._tokens: dict[object, tuple[str, Identity]] = {}
        self._decoy = ""

    async def find_token(
        self, scope: Mapping[str, object], headers: Mapping[str, str]
    ) -> str | None:
        """Return the token of a request; None if it brings no such credentials.

        Raises `BadToken`, and `NoGroup` for a person of no known group.
        """
        token = await self._find(scope, headers)
        if token is not None and not is_own_request(scope, headers):
            raise ForgedRequest(FORGED_MESSAGE)
        return token

    async def _find(
        self, scope: Mapping[str, object], headers: Mapping[str, str]
    ) -> str | None:
        scheme, _, basic = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and self._users:
            return await self._check_password(basic)
        if scheme:
            return None
        user = headers.get(USER_HEADER, "")
        if self._settings.proxy and user and scope.get(TRUSTED_PEER) is True:
            listed = headers.get(GROUPS_HEADER, "").replace(",", " ").split()
            return self._make_token((user, tuple(listed)), user, tuple(listed))
        kind = name_cookie(SESSION, self._environment)
        return read_cookie(headers.get("cookie"), kind, is_secure(scope))

    async def _check_password(self, basic: str) -> str:
        try:
            pair = base64.b64decode(basic, validate=True).decode()
        except ValueError:
            raise BadToken(WRONG_PASSWORD) from None
        name, _, password = pair.partition(":")
        key = hashlib.sha256(f"{name}\0{password}".encode()).digest()
        user = self._users.get(name)
        if key not in self._tokens and not await self._is_right(user, password):
            raise BadToken(WRONG_PASSWORD)
        assert user is not None
        return self._make_token(key, name, user.groups)

    async def _is_right(self, user: SsoUser | None, password: str) -> bool:
        """Return True if it is the password; it takes as long for unknown users."""
        if not self._decoy:
            self._decoy = await asyncio.to_thread(hash_password, "nobody's")
        hashed = user.password if user else self._decoy
        is_right = await asyncio.to_thread(is_password, password, hashed)
        return is_right and user is not None

    def _make_token(self, key: object, name: str, groups: tuple[str, ...]) -> str:
        """Return the token of a person, for as long as it lives the same."""
        now = time.time()
        known = self._tokens.get(key)
        if known is not None and self._can_use(known[1], now):
            return known[0]
        expires = now + max(self._settings.session, 2 * RENEW_BEFORE_S)
        who = make_identity(
            name,
            groups,
            self._settings.groups,
            expires,
            environment=self._environment,
        )
        token = self._issuer.sign(who)
        if len(self._tokens) >= MAX_CACHED:
            self._tokens.clear()
        self._tokens[key] = token, who
        return token

    def _can_use(self, who: Identity, now: float) -> bool:
        ends = (who.expires or 0.0) - RENEW_BEFORE_S
        return ends > now and not self._revocations.is_revoked(who)


def is_secure(scope: Mapping[str, object]) -> bool:
    """Return True if a request came over TLS, here or at a trusted proxy."""
    return scope.get("scheme") in ("https", "wss")


def is_own_request(scope: Mapping[str, object], headers: Mapping[str, str]) -> bool:
    """Return True if no page of another origin can have sent a request."""
    origin, host = headers.get("origin"), headers.get("host", "")
    is_same = origin is not None and urlsplit(origin).netloc.lower() == host.lower()
    if scope.get("type") == "websocket":
        return is_same
    if scope.get("method") in SAFE_METHODS:
        return origin is None or is_same
    return REQUEST_HEADER in headers and (origin is None or is_same)
