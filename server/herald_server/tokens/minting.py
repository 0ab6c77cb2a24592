"""Tokens that Herald makes: signed, narrow, short-lived.

Every server process with the same secret takes them without looking anything up:
all that they allow stands in them (JWT, RFC 7519; HS256). Their key is derived from
HERALD_TOKEN_SECRET or HERALD_TOKEN (`secret.py`), so it signs nothing else.
"""

from __future__ import annotations

import secrets
from typing import Any

import jwt

from herald_monitor.model.filters import Filter
from herald_server.auth import Identity
from herald_server.tokens.claims import BadToken, only_of, scopes_of, written
from herald_server.tokens.secret import derived_key

TYPE = "herald+jwt"
"""`typ` in the header of our own tokens."""

PURPOSE = b"herald: key of minted tokens, 2"

EXPIRED = "the token has expired; get a new one"
WRONG = "the token is not valid here"


class Mint:
    """Signs and reads tokens with a key derived from `secret`."""

    def __init__(self, secret: str) -> None:
        self._key = derived_key(secret, PURPOSE)

    def sign(self, who: Identity) -> str:
        """Return the token of `who`, who must expire."""
        claims: dict[str, Any] = {
            "jti": who.id,
            "sub": who.name,
            "scope": " ".join(sorted(who.scopes)),
            "exp": who.expires,
        }
        if who.only is not None:
            claims["herald"] = written(who.only)
        if who.by:
            claims["by"] = list(who.by)
        return jwt.encode(claims, self._key, "HS256", headers={"typ": TYPE})

    def read(self, token: str, now: float) -> Identity:
        """Return who holds `token`. Raises `BadToken`."""
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
            raise BadToken(WRONG) from None
        expires = float(claims["exp"])
        if expires <= now:
            raise BadToken(EXPIRED)
        return Identity(
            claims["sub"],
            scopes_of(claims.get("scope")),
            only_of(claims.get("herald")),
            expires,
            claims["jti"],
            tuple(claims.get("by", ())),
        )


def made_of(
    owner: Identity,
    scopes: frozenset[str],
    only: Filter | None,
    expires: float,
    label: str = "",
) -> Identity:
    """Return who a token made by `owner` is for: never more than `owner` has.

    What is asked for and not had is left out; `expires` (unix seconds) is cut.
    """
    id_ = secrets.token_hex(8)
    return Identity(
        # Below its maker's name: no token can pass for somebody else.
        f"{owner.name}/{label or id_}",
        scopes & owner.scopes,
        only.within(owner.only) if only is not None else owner.only,
        expires if owner.expires is None else min(expires, owner.expires),
        id_,
        (*owner.by, owner.id) if owner.id else owner.by,
    )
