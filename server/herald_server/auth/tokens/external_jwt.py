"""JWTs of an external issuer: signed with a shared secret, or with a private key whose
public half is in a JSON Web Key Set.

The algorithm in a token's header selects only keys of that algorithm, so a public key
never serves as a secret, and `none` is never accepted (RFC 8725 §3.1).
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

import jwt

from herald_core.model.events.event import MAX_UNIX_S
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity
from herald_server.auth.tokens.claims import BadToken, parse_filter_claim, parse_scopes
from herald_server.auth.tokens.issuer import EXPIRED_MESSAGE, INVALID_MESSAGE
from herald_server.auth.tokens.jwks import KeySet

LEEWAY_S = 5.0
"""Seconds by which the clock of an issuer may run ahead."""


class ExternalJwtVerifier:
    """Verifies the tokens of one issuer.

    `secret` is for HS256, `keys` for RS256 and ES256. `issuer` and `audience` are
    checked if they are given; `claim` is the one that contains a filter.
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

    def verify(self, token: str, header: dict[str, Any], now: float) -> Identity:
        """Return the identity of `token`. Raises `BadToken`, `UnknownKey`."""
        algorithm = str(header.get("alg"))
        key = self._find_key(algorithm, header)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={
                    "require": self._list_required_claims(),
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
            raise BadToken(INVALID_MESSAGE) from None
        return self._make_identity(claims, now)

    def _list_required_claims(self) -> list[str]:
        needed = ["exp", "sub"]
        needed += ["iss"] if self._issuer else []
        return needed + (["aud"] if self._audience else [])

    def _find_key(self, algorithm: str, header: dict[str, Any]) -> Any:
        if algorithm == "HS256" and self._secret:
            return self._secret
        if algorithm in ("RS256", "ES256") and self.keys is not None:
            return self.keys.find_key(cast("str | None", header.get("kid")), algorithm)
        raise BadToken(INVALID_MESSAGE)

    def _make_identity(self, claims: dict[str, Any], now: float) -> Identity:
        try:
            expires = float(claims["exp"])
            # A slash separates a token's name from those of derived tokens.
            name = f"jwt:{quote(claims['sub'], safe='@:+|~ ')}"
        except (TypeError, ValueError, OverflowError):
            raise BadToken(INVALID_MESSAGE) from None
        if not expires <= MAX_UNIX_S:
            # RFC 7519 §2: a NumericDate is a finite JSON number, so not NaN or
            # Infinity.
            raise BadToken(INVALID_MESSAGE)
        if expires <= now:
            raise BadToken(EXPIRED_MESSAGE)
        id_ = claims.get("jti")
        return Identity(
            name,
            parse_scopes(claims.get("scope")),
            parse_filter_claim(claims.get(self._claim)),
            expires,
            f"jwt:{id_}" if isinstance(id_, str) and id_ else "",
            environments=_parse_environments(claims.get(f"{self._claim}_environments")),
        )


def _parse_environments(claim: object) -> tuple[str, ...]:
    """Return the environments in a list or a text of words; else the default one."""
    if isinstance(claim, str):
        return tuple(claim.split())
    if isinstance(claim, list):
        return tuple(map(str, cast("list[object]", claim)))
    return (DEFAULT_ENVIRONMENT,)
