"""Tokens issued by Herald: signed, restricted, short-lived.

Every server process with the same secret accepts them without a lookup: they contain
all their rights (JWT, RFC 7519; HS256). Their key is derived from HERALD_TOKEN_SECRET
or HERALD_TOKEN (`secret.py`), so it signs nothing else.
"""

from __future__ import annotations

import secrets
from typing import Any

import jwt

from herald_core.model.filters import Filter
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity
from herald_server.auth.tokens.claims import (
    BadToken,
    encode_filter_claim,
    parse_filter_claim,
    parse_scopes,
)
from herald_server.auth.tokens.secret import derive_key

TOKEN_TYPE = "herald+jwt"
"""`typ` in the header of our own tokens."""

PURPOSE = b"herald: key of minted tokens, 2"

EXPIRED_MESSAGE = "the token has expired; get a new one"
INVALID_MESSAGE = "the token is not valid here"


class TokenIssuer:
    """Signs and verifies tokens with a key derived from `secret`."""

    def __init__(self, secret: str) -> None:
        self._key = derive_key(secret, PURPOSE)

    def sign(self, who: Identity) -> str:
        """Return the token of `who`, which must expire."""
        claims: dict[str, Any] = {
            "jti": who.id,
            "sub": who.name,
            "scope": " ".join(sorted(who.scopes)),
            "exp": who.expires,
        }
        if who.task_filter is not None:
            claims["herald"] = encode_filter_claim(who.task_filter)
        if who.environments and who.environments != (DEFAULT_ENVIRONMENT,):
            claims["env"] = who.environments[0]
        if who.issuers:
            claims["by"] = list(who.issuers)
        return jwt.encode(claims, self._key, "HS256", headers={"typ": TOKEN_TYPE})

    def verify(self, token: str, now: float) -> Identity:
        """Return the identity of `token`. Raises `BadToken`."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                options={
                    "require": ["jti", "sub", "exp"],
                    # Below, with the clock that is given.
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            raise BadToken(INVALID_MESSAGE) from None
        expires = float(claims["exp"])
        if expires <= now:
            raise BadToken(EXPIRED_MESSAGE)
        return Identity(
            claims["sub"],
            parse_scopes(claims.get("scope")),
            parse_filter_claim(claims.get("herald")),
            expires,
            claims["jti"],
            tuple(claims.get("by", ())),
            (str(claims.get("env", DEFAULT_ENVIRONMENT)),),
        )


def derive_identity(
    owner: Identity,
    scopes: frozenset[str],
    only: Filter | None,
    expires: float,
    label: str = "",
    environment: str = DEFAULT_ENVIRONMENT,
) -> Identity:
    """Return the identity of a token minted by `owner`: never more than `owner` has.

    It is valid in one `environment`, whose store knows whether it is revoked.

    Rights that `owner` lacks are omitted; `expires` (unix seconds) is limited.
    """
    id_ = secrets.token_hex(8)
    return Identity(
        # Prefixed with its issuer's name, so that no token impersonates another.
        f"{owner.name}/{label or id_}",
        scopes & owner.scopes,
        only.intersect(owner.task_filter) if only is not None else owner.task_filter,
        expires if owner.expires is None else min(expires, owner.expires),
        id_,
        (*owner.issuers, owner.id) if owner.id else owner.issuers,
        (environment,),
    )
