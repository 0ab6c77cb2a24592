"""The endpoints of a provider of OpenID Connect, over HTTP.

Authlib's clients need another HTTP client than the one that Herald has.
"""

from __future__ import annotations

import logging
import time
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import msgspec

from herald_core.errors import HeraldError
from herald_server.auth.identity import LOOPBACK
from herald_server.auth.sso.settings import OidcSettings

log = logging.getLogger(__name__)

METADATA_TTL_S = 3_600.0
TIMEOUT_S = 10.0
MAX_BYTES = 1 << 20


class LoginFailed(HeraldError):
    """A person could not be signed in, with the reason."""


class ProviderUnavailable(HeraldError):
    """The provider did not answer as it must."""


class ProviderMetadata(msgspec.Struct, frozen=True):
    """What is used of the provider's metadata (OpenID Connect Discovery 1.0 §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class ProviderTokens(msgspec.Struct, frozen=True):
    """The answer of a token endpoint."""

    id_token: str = ""
    access_token: str = ""
    refresh_token: str = ""


class ProviderEndpoints:
    """The endpoints of the provider of `settings`; its metadata is read when needed."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._metadata: ProviderMetadata | None = None
        self._read_at = float("-inf")

    async def read_metadata(self) -> ProviderMetadata:
        """Return the metadata, at most an hour old. Raises `LoginFailed`,
        `ProviderUnavailable`."""
        now = time.monotonic()
        if self._metadata is None or now - self._read_at > METADATA_TTL_S:
            self._metadata = await self._fetch_metadata()
            self._read_at = now
        return self._metadata

    async def _fetch_metadata(self) -> ProviderMetadata:
        issuer = self._settings.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = msgspec.convert(await self._request("GET", url), ProviderMetadata)
        except msgspec.ValidationError as error:
            raise ProviderUnavailable(f"{url} is no metadata: {error}") from None
        if found.issuer != issuer:
            raise ProviderUnavailable(
                f"{url} is of the issuer {found.issuer[:200]}; set issuer to it"
            )
        for place in (found.token_endpoint, found.jwks_uri):
            parts = urlsplit(place)
            if parts.scheme != "https" and parts.hostname not in LOOPBACK:
                raise ProviderUnavailable(f"{place[:200]} must be https")
        return found

    async def request_tokens(self, fields: dict[str, str]) -> ProviderTokens:
        """Return the answer of the token endpoint to `fields`. Raises the same."""
        metadata, settings = await self.read_metadata(), self._settings
        methods = metadata.token_endpoint_auth_methods_supported
        data, auth = {**fields, "client_id": settings.client_id}, None
        if settings.client_secret and "client_secret_basic" in methods:
            auth = settings.client_id, settings.client_secret
        elif settings.client_secret:
            data["client_secret"] = settings.client_secret
        told = await self._request(
            "POST", metadata.token_endpoint, data=data, auth=auth
        )
        return parse_tokens(told)

    async def request_userinfo(self, access_token: str) -> dict[str, Any]:
        """Return the claims that the userinfo endpoint has; none without one.

        Raises the same.
        """
        metadata = await self.read_metadata()
        if not metadata.userinfo_endpoint:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self._request("GET", metadata.userinfo_endpoint, headers=headers)

    async def _request(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        try:
            # Redirects are not followed: one could lead to plain HTTP.
            async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
                answer = await client.request(method, url, **given)
            if len(answer.content) > MAX_BYTES:
                raise ProviderUnavailable(f"{url[:200]} answered too much")
            told = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("the provider of single sign-on: %s: %r", url, error)
            raise ProviderUnavailable(
                f"the provider at {urlsplit(url).netloc} did not answer; try again"
            ) from None
        if answer.is_error or not isinstance(told, dict):
            code = f"HTTP {answer.status_code} {_get_error(told)}".rstrip()
            raise LoginFailed(f"the provider refused: {code}")
        return cast("dict[str, Any]", told)


def parse_tokens(told: object) -> ProviderTokens:
    """Return the tokens of an answer. Raises `ProviderUnavailable`."""
    try:
        return msgspec.convert(told, ProviderTokens)
    except msgspec.ValidationError:
        raise ProviderUnavailable("the provider sent no tokens") from None


def _get_error(told: object) -> str:
    """Return the error code of an answer (RFC 6749 §5.2); empty for none."""
    fields = cast("dict[str, object]", told) if isinstance(told, dict) else {}
    return str(fields.get("error", ""))[:60]
