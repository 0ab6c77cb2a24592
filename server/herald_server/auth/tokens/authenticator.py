"""Authenticate tokens of every kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import jwt

from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity, StaticTokens
from herald_server.auth.tokens.claims import BadToken, WrongEnvironment
from herald_server.auth.tokens.external_jwt import (
    ExternalJwtVerifier,
    NeedsIntrospection,
)
from herald_server.auth.tokens.issuer import (
    EXPIRED_MESSAGE,
    INVALID_MESSAGE,
    TOKEN_TYPE,
    TokenIssuer,
)
from herald_server.auth.tokens.jwks import UnknownKey
from herald_server.auth.tokens.protected_resource import ProtectedResource
from herald_server.auth.tokens.revocation import (
    REVOKED_MESSAGE,
    OnInvalid,
    RevocationList,
)

__all__ = ["Authenticator", "BadToken"]

MAX_TOKEN_CHARS = 8_192
"""Characters of a token."""

TOKEN_NEEDED = "a valid token is needed"


class ProxyVerifier(Protocol):
    """Verifies the tokens that MCP clients got at this server."""

    @property
    def issuer(self) -> str:
        """The claim `iss` of these tokens."""
        ...

    def verify(self, token: str, now: float) -> Identity:
        """Return the identity of `token`. Raises `BadToken`."""
        ...


class Authenticator:
    """Authenticates static tokens, minted tokens, and those of an issuer."""

    def __init__(
        self,
        chosen: StaticTokens,
        mint: TokenIssuer | None = None,
        outside: ExternalJwtVerifier | None = None,
        revoked: RevocationList | None = None,
        environment: str = DEFAULT_ENVIRONMENT,
        resource: ProtectedResource | None = None,
        proxied: ProxyVerifier | None = None,
    ) -> None:
        self.static_tokens = chosen
        self.issuer = mint
        self.external = outside
        self.revocations = revoked
        self.environment = environment
        self.proxied = proxied
        self.resource = resource
        """How clients get a token of the issuer; None if they cannot find out."""

    async def authenticate(self, token: str | None) -> Identity:
        """Return the identity of `token`. Raises `BadToken` with the reason.

        Fetches the issuer's keys if the token names an unknown one, and asks the issuer
        about a token that cannot be verified here.
        """
        try:
            return self.identify(token)
        except NeedsIntrospection:
            assert token
            assert self.external
            now = time.time()
            who = await self.external.verify_opaque(token, now, time.monotonic())
            return self._check(who)
        except UnknownKey:
            keys = self.external.keys if self.external else None
            if keys is None or not await keys.fetch_for_unknown():
                raise
            return self.identify(token)

    def identify(self, token: str | None) -> Identity:
        """Return the identity of `token` without I/O. Raises `BadToken`."""
        if not token:
            raise BadToken(TOKEN_NEEDED)
        if len(token) > MAX_TOKEN_CHARS:
            raise BadToken(INVALID_MESSAGE)
        return self._check(
            self.static_tokens.find_identity(token)
            or self._identify_signed(token, time.time())
        )

    def _check(self, who: Identity) -> Identity:
        """Return `who`. Raises `BadToken` if it is revoked, or not for this place."""
        if self.revocations is not None and self.revocations.is_revoked(who):
            raise BadToken(REVOKED_MESSAGE)
        if not who.may_use(self.environment):
            raise WrongEnvironment(
                f"this token is not for the environment {self.environment}; use one "
                "that was minted there"
            )
        return who

    def _identify_signed(self, token: str, now: float) -> Identity:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            if self.external is not None and self.external.introspector is not None:
                raise self.external.make_unverifiable_error() from None
            raise BadToken(TOKEN_NEEDED) from None
        if header.get("typ") == TOKEN_TYPE and self.issuer is not None:
            return self.issuer.verify(token, now)
        if self.proxied is not None and _read_issuer(token) == self.proxied.issuer:
            return self.proxied.verify(token, now)
        if self.external is not None:
            return self.external.verify(token, header, now)
        raise BadToken(INVALID_MESSAGE)

    def can_end(self, who: Identity) -> bool:
        """Return True if the token of `who` can become invalid."""
        return who.expires is not None or bool(who.id or who.issuers)

    def call_when_invalid(self, who: Identity, leave: OnInvalid) -> Callable[[], None]:
        """Call `leave` with the reason once the token of `who` becomes invalid.

        Returns a function that stops it. Needs a running event loop.
        """
        ends: list[Callable[[], object]] = []
        if who.expires is not None:
            left = max(who.expires - time.time(), 0.0)
            loop = asyncio.get_running_loop()
            ends.append(loop.call_later(left, leave, EXPIRED_MESSAGE).cancel)
        if self.revocations is not None and (who.id or who.issuers):
            ends.append(self.revocations.call_when_revoked(who, leave))

        def end() -> None:
            for one in ends:
                one()

        return end


def _read_issuer(token: str) -> object:
    """Return the claim `iss` of `token`, which is not verified; None without one."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return claims.get("iss")
