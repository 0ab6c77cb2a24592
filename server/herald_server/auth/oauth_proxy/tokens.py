"""The tokens that MCP clients got at this server, and whose they are.

FastMCP signs them (HS256), with the person and the groups as claims, so they are
verified without asking the store or the provider.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import jwt
from msgspec import structs
from pydantic import AnyHttpUrl

from herald_core.model.events.event import MAX_UNIX_S
from herald_server.auth.identity import PROXIED_PREFIX, Identity
from herald_server.auth.sso.mapping import NoGroup, Person, make_identity
from herald_server.auth.sso.settings import SsoGroup
from herald_server.auth.tokens.claims import BadToken, Forbidden, parse_scopes
from herald_server.auth.tokens.issuer import EXPIRED_MESSAGE, INVALID_MESSAGE
from herald_server.auth.tokens.protected_resource import MCP_PATH
from herald_server.auth.tokens.secret import derive_key

PURPOSE = b"herald: key of the tokens of MCP clients, 1"
ALGORITHM = "HS256"
ENDPOINTS_PATH = "/oauth"
"""Path below which clients register, get tokens, and their users agree."""


def name_issuer(public_url: str) -> str:
    """Return the issuer of the server at `public_url`, as FastMCP writes it: an
    address without a path ends in a slash."""
    return str(AnyHttpUrl(public_url))


class ProxiedTokens:
    """Verifies the tokens of people in `groups` at the server at `public_url`.

    `secret` is the one that signs all tokens; `scopes` are those of a client that
    requested none.
    """

    def __init__(
        self,
        public_url: str,
        secret: str,
        groups: Iterable[SsoGroup],
        scopes: Iterable[str],
    ) -> None:
        self.public_url = public_url
        self.issuer = name_issuer(public_url)
        self.key = derive_key(secret, PURPOSE)
        self.groups = tuple(groups)
        self._default_scopes = " ".join(scopes)

    def verify(self, token: str, now: float) -> Identity:
        """Return the identity of `token`: what its group may do, of what the client
        requested. Raises `BadToken`, `Forbidden`."""
        claims = self._decode(token)
        if not now < claims["exp"] <= MAX_UNIX_S:
            raise BadToken(EXPIRED_MESSAGE)
        who = self._identify(claims)
        asked = parse_scopes(claims.get("scope") or self._default_scopes)
        return structs.replace(
            who,
            scopes=who.scopes & asked,
            obtainable=who.scopes,
            id=f"jwt:{claims['jti']}",
        )

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                token,
                self.key,
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                audience=self.public_url + MCP_PATH,
                options={"require": ["exp", "jti"], "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            raise BadToken(INVALID_MESSAGE) from None
        # A refresh token is for the token endpoint only.
        if claims.get("token_use", "access") != "access":
            raise BadToken(INVALID_MESSAGE)
        return claims

    def _identify(self, claims: dict[str, Any]) -> Identity:
        person = read_claims(claims)
        expires = float(claims["exp"])
        try:
            return make_identity(
                person.name, person.groups, self.groups, expires, PROXIED_PREFIX
            )
        except NoGroup as error:
            raise Forbidden(str(error)) from None

    def write_claims(self, person: Person) -> dict[str, Any]:
        """Return the claims that say who `person` is: of the groups only those that
        this server knows, since there may be hundreds."""
        known = [one.name for one in self.groups if one.name in person.groups]
        return {"name": person.name, "groups": known}


def read_claims(claims: dict[str, Any]) -> Person:
    """Return the person in the claims of a verified token. Raises `BadToken`."""
    told = claims.get("upstream_claims")
    if not isinstance(told, dict):
        raise BadToken(INVALID_MESSAGE)
    fields = cast("dict[str, Any]", told)
    return Person(str(fields["name"]), tuple(fields["groups"]))
