"""Tokens of an external issuer: JWTs that are signed with a shared secret, or with a
private key whose public half is in a JSON Web Key Set; or tokens that the issuer is
asked about.

The algorithm in a token's header selects only keys of that algorithm, so a public key
never serves as a secret, and `none` is never accepted (RFC 8725 §3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

import jwt

from herald_core.model.events.event import MAX_UNIX_S
from herald_server.auth.identity import (
    DEFAULT_ENVIRONMENT,
    ISSUED_PREFIX,
    Identity,
)
from herald_server.auth.tokens.claims import BadToken, parse_filter_claim, parse_scopes
from herald_server.auth.tokens.introspection import Introspector
from herald_server.auth.tokens.issuer import EXPIRED_MESSAGE, INVALID_MESSAGE
from herald_server.auth.tokens.jwks import KeySet

LEEWAY_S = 5.0
"""Seconds by which the clock of an issuer may run ahead."""

KEY_ALGORITHMS = ("RS256", "ES256", "EdDSA")

UNCHECKED_S = 3_600.0
"""Seconds for which a token is valid whose end the issuer did not tell."""

REVOKED_MESSAGE = "the issuer of this token says that it is not active; get a new one"


class NeedsIntrospection(BadToken):
    """A token about which its issuer has to be asked."""


class ExternalJwtVerifier:
    """Verifies the tokens of one issuer.

    `secret` is for HS256, `keys` for RS256, ES256 and EdDSA, and `introspector` for
    tokens that none of them verifies. `issuer` is checked if it is given; a token must
    be for one of `audiences` if there are any. `claim` is the one that contains a
    filter.
    """

    def __init__(
        self,
        secret: str | None = None,
        keys: KeySet | None = None,
        issuer: str | None = None,
        audiences: Sequence[str] = (),
        claim: str = "herald",
        introspector: Introspector | None = None,
    ) -> None:
        self._secret = secret
        self.keys = keys
        self._issuer = issuer
        self._audiences = tuple(audiences)
        self._claim = claim
        self.introspector = introspector

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
                audience=self._audiences or None,
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
            raise self._make_audience_error() from None
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(f"the token has no claim {error.claim}") from None
        except jwt.InvalidTokenError:
            raise BadToken(INVALID_MESSAGE) from None
        return self._make_identity(claims, now)

    def _list_required_claims(self) -> list[str]:
        needed = ["exp", "sub"]
        needed += ["iss"] if self._issuer else []
        return needed + (["aud"] if self._audiences else [])

    def _find_key(self, algorithm: str, header: dict[str, Any]) -> Any:
        if algorithm == "HS256" and self._secret:
            return self._secret
        if algorithm in KEY_ALGORITHMS and self.keys is not None:
            return self.keys.find_key(cast("str | None", header.get("kid")), algorithm)
        raise self.make_unverifiable_error()

    def make_unverifiable_error(self) -> BadToken:
        """Return the error for a token that nothing here verifies."""
        if self.introspector is not None:
            return NeedsIntrospection(INVALID_MESSAGE)
        return BadToken(INVALID_MESSAGE)

    def _make_audience_error(self) -> BadToken:
        return BadToken(
            "the token is for another audience; request one for "
            f"{self._audiences[0] if self._audiences else 'this server'}"
        )

    async def verify_opaque(self, token: str, now: float, monotonic: float) -> Identity:
        """Return the identity of `token` as the issuer describes it.

        `now` is in unix seconds. Raises `BadToken`, `IssuerUnavailable`.
        """
        assert self.introspector is not None
        told = await self.introspector.read_claims(token, monotonic)
        if told.get("active") is not True:
            raise BadToken(REVOKED_MESSAGE)
        # RFC 7662 §2.2: all of these are optional.
        if told.get("iss") not in (None, self._issuer):
            raise BadToken("the token is of another issuer")
        if self._audiences and not self._is_for_us(told.get("aud")):
            raise self._make_audience_error()
        subject = told.get("sub") or told.get("username") or told.get("client_id")
        return self._make_identity(
            {"exp": now + UNCHECKED_S, **told, "sub": subject}, now
        )

    def _is_for_us(self, claim: object) -> bool:
        listed = cast("list[object]", claim) if isinstance(claim, list) else [claim]
        return any(one in self._audiences for one in listed)

    def _make_identity(self, claims: dict[str, Any], now: float) -> Identity:
        try:
            expires = float(claims["exp"])
            # A slash separates a token's name from those of derived tokens.
            name = f"{ISSUED_PREFIX}{quote(claims['sub'], safe='@:+|~ ')}"
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
            # Microsoft Entra ID names it `scp`.
            parse_scopes(claims.get("scope", claims.get("scp"))),
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
