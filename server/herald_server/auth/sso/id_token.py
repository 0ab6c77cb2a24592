"""Verification of ID tokens (OpenID Connect Core 1.0 §3.1.3.7).

Signatures are verified by PyJWT, with the keys of `auth/tokens/jwks.py`: RS256, ES256
and EdDSA.
"""

from __future__ import annotations

from typing import Any, cast

import jwt

from herald_server.auth.sso.provider_endpoints import LoginFailed, ProviderEndpoints
from herald_server.auth.sso.settings import OidcSettings
from herald_server.auth.tokens.external_jwt import KEY_ALGORITHMS
from herald_server.auth.tokens.jwks import KeySet, UnknownKey

LEEWAY_S = 10.0
"""Seconds by which the clocks of the provider and of this server may differ."""


class IdTokenVerifier:
    """Verifies the ID tokens that a provider made for the client of `settings`.

    `keys` are those of the provider, if they are known already.
    """

    def __init__(
        self,
        settings: OidcSettings,
        endpoints: ProviderEndpoints,
        keys: KeySet | None = None,
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._keys = keys

    async def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of `token`. Raises `LoginFailed`, `ProviderUnavailable`."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise LoginFailed("the provider sent no valid ID token") from None
        algorithm = str(header.get("alg"))
        if algorithm not in KEY_ALGORITHMS:
            raise LoginFailed(
                f"the ID token is signed by {algorithm[:20]}; set the provider to one"
                f" of {', '.join(KEY_ALGORITHMS)}"
            )
        key = await self._find_key(cast("str | None", header.get("kid")), algorithm)
        return self._decode(token, key, algorithm)

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.client_id,
                issuer=self._settings.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise LoginFailed(f"the ID token is not valid: {error}") from None
        # It was made for this client.
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise LoginFailed("the ID token is of another client")
        return claims

    async def _find_key(self, id_: str | None, algorithm: str) -> Any:
        metadata = await self._endpoints.read_metadata()
        if self._keys is None:
            self._keys = KeySet(metadata.jwks_uri)
        try:
            return self._keys.find_key(id_, algorithm)
        except UnknownKey:
            await self._keys.fetch_for_unknown()
        try:
            return self._keys.find_key(id_, algorithm)
        except UnknownKey:
            raise LoginFailed("the ID token is signed by an unknown key") from None
