"""JWTs that somebody else signs: with a secret that both know, or with a private
key whose public half is in a JSON Web Key Set.

The algorithm in a token's header chooses among keys of that algorithm only, so a
public key never serves as a secret, and `none` never serves at all (RFC 8725 §3.1).
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

import jwt

from herald_monitor.model.events import MAX_MOMENT
from herald_server.auth import Identity
from herald_server.tokens.claims import BadToken, only_of, scopes_of
from herald_server.tokens.jwks import KeySet
from herald_server.tokens.minting import EXPIRED, WRONG

LEEWAY = 5.0
"""Seconds by which the clock of an issuer may run ahead."""


class Outside:
    """Reads the tokens of one issuer.

    `secret` is for HS256, `keys` for RS256. `issuer` and `audience` are checked
    where they are given; `claim` is the one that holds a filter.
    """

    def __init__(
        self,
        secret: str | None = None,
        keys: KeySet | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        claim: str = "herald",
    ) -> None:
        self._secret = secret
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._claim = claim

    def read(self, token: str, header: dict[str, Any], now: float) -> Identity:
        """Return who holds `token`. Raises `BadToken`, `UnknownKey`."""
        algorithm = str(header.get("alg"))
        key = self._key(algorithm, header)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={
                    "require": self._needed(),
                    # Without leeway, below.
                    "verify_exp": False,
                },
            )
        except jwt.InvalidIssuerError:
            raise BadToken("the token is of another issuer") from None
        except jwt.InvalidAudienceError:
            raise BadToken("the token is for another audience") from None
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(f"the token has no claim {error.claim}") from None
        except jwt.InvalidTokenError:
            raise BadToken(WRONG) from None
        return self._identity(claims, now)

    def _needed(self) -> list[str]:
        needed = ["exp", "sub"]
        needed += ["iss"] if self._issuer else []
        return needed + (["aud"] if self._audience else [])

    def _key(self, algorithm: str, header: dict[str, Any]) -> Any:
        if algorithm == "HS256" and self._secret:
            return self._secret
        if algorithm == "RS256" and self.keys is not None:
            return self.keys.key(cast("str | None", header.get("kid")))
        raise BadToken(WRONG)

    def _identity(self, claims: dict[str, Any], now: float) -> Identity:
        try:
            expires = float(claims["exp"])
            # A slash stands between a token and those that are made from it.
            name = f"jwt:{quote(claims['sub'], safe='@:+|~ ')}"
        except (TypeError, ValueError, OverflowError):
            raise BadToken(WRONG) from None
        if not expires <= MAX_MOMENT:
            # RFC 7519 §2: a NumericDate is a JSON number, which NaN and Infinity are
            # not; and one without an end is no time.
            raise BadToken(WRONG)
        if expires <= now:
            raise BadToken(EXPIRED)
        id_ = claims.get("jti")
        return Identity(
            name,
            scopes_of(claims.get("scope")),
            only_of(claims.get(self._claim)),
            expires,
            f"jwt:{id_}" if isinstance(id_, str) and id_ else "",
        )
