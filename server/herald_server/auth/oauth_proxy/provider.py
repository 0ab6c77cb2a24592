"""The authorization server of MCP clients: FastMCP's `OIDCProxy`.

A client registers here, and its user agrees on a page of this server, so that a client
of somebody else's cannot use a session at the provider unnoticed. The user then signs
in at the provider, at which this server is the only client.
"""

from __future__ import annotations

from typing import Any

import httpx2
from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from fastmcp.server.auth.oauth_proxy.upstream import AsyncOAuth2Client
from fastmcp.server.auth.oidc_proxy import OIDCConfiguration, OIDCProxy
from fastmcp.server.auth.redirect_validation import validate_redirect_uri
from mcp.server.auth.provider import (
    AuthorizationCode,
    RefreshToken,
    RegistrationError,
    TokenError,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl

from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import PROXIED_PREFIX
from herald_server.auth.oauth_proxy.items import ProxyItems
from herald_server.auth.oauth_proxy.tokens import (
    ENDPOINTS_PATH,
    ProxiedTokens,
    read_claims,
)
from herald_server.auth.sso.mapping import Person
from herald_server.auth.sso.oidc import OidcProvider
from herald_server.auth.sso.provider_endpoints import (
    LoginFailed,
    ProviderMetadata,
    ProviderUnavailable,
)
from herald_server.auth.sso.redirects import LOOPBACK_REDIRECTS
from herald_server.auth.sso.service import REFRESH_TTL_S
from herald_server.auth.sso.settings import OidcSettings, SsoSettings

CALLBACK = "/callback"
CLIENTS = "mcp-oauth-proxy-clients"
"""The collection of FastMCP in which the clients are."""

CLIENT_TTL_S = 90 * 86_400.0
"""Seconds for which a client is known after it last got a token."""

NO_REDIRECT = (
    "redirect_uris is missing: a client registers where its user is sent back to"
    " (RFC 7591 §2)"
)
UNAVAILABLE_MESSAGE = "the provider that signs people in did not answer; try again"


class McpProxy(OIDCProxy):
    """The authorization server in front of the provider of `metadata`.

    `scopes` are all that a client may request.
    """

    def __init__(
        self,
        provider: OidcProvider,
        metadata: ProviderMetadata,
        settings: SsoSettings,
        tokens: ProxiedTokens,
        items: ProxyItems,
        scopes: list[str],
        audit: AuditLog,
    ) -> None:
        self._provider = provider
        self._metadata = metadata
        self._tokens = tokens
        self._items = items
        self._scopes = " ".join(scopes)
        self._audit = audit
        oidc, seconds = provider.settings, int(settings.session)
        super().__init__(
            config_url=oidc.issuer,
            client_id=oidc.client_id,
            client_secret=oidc.client_secret or None,
            token_endpoint_auth_method=choose_method(oidc, metadata),
            token_verifier=_NoVerifier(),
            base_url=tokens.public_url + ENDPOINTS_PATH,
            resource_base_url=tokens.public_url,
            issuer_url=tokens.issuer,
            redirect_path=CALLBACK,
            allowed_client_redirect_uris=[
                *LOOPBACK_REDIRECTS,
                *settings.mcp_redirects,
            ],
            valid_scopes=scopes,
            client_storage=items,
            jwt_signing_key=tokens.key,
            # Scopes and resources of this server mean nothing to the provider.
            extra_authorize_params={"scope": " ".join(oidc.scopes)},
            forward_resource=False,
            fastmcp_access_token_expiry_seconds=seconds,
            fallback_access_token_expiry_seconds=seconds,
            fallback_refresh_token_expiry_seconds=int(REFRESH_TTL_S),
            # It would fetch addresses that anybody sends.
            enable_cimd=False,
        )

    def get_oidc_configuration(
        self,
        config_url: AnyHttpUrl,
        strict: bool | None,
        timeout_seconds: int | None,
    ) -> OIDCConfiguration:
        """Return the metadata of the provider, which has been fetched and checked.

        Without its endpoint for revocation: tokens of this server are revoked here.
        """
        return OIDCConfiguration(
            strict=False,
            issuer=self._metadata.issuer,
            authorization_endpoint=self._metadata.authorization_endpoint,
            token_endpoint=self._metadata.token_endpoint,
            jwks_uri=self._metadata.jwks_uri,
        )

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Return a client: its user is sent back only to where it registered.

        FastMCP compares with the patterns of all clients instead. They are what the
        client of the provider itself has, which does not register here.
        """
        client = await super().get_client(client_id)
        if (
            isinstance(client, ProxyDCRClient)
            and not client.allow_unregistered_redirect_uris
        ):
            keep_registered_redirects(client)
        return client

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Register a client, for all scopes: a registration narrows nothing, since the
        client may ask its user for more later. Raises `RegistrationError`."""
        if not client_info.redirect_uris:
            raise RegistrationError("invalid_redirect_uri", NO_REDIRECT)
        client_info.scope = self._scopes
        try:
            await super().register_client(client_info)
        except RegistrationError as error:
            if error.error != "invalid_redirect_uri":
                raise
            raise RegistrationError(error.error, _explain(error)) from None

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Return the first tokens of a client. Raises `TokenError`."""
        made = await super().exchange_authorization_code(client, authorization_code)
        person = self._read_person(made.access_token)
        await self._audit.record("sign_in", PROXIED_PREFIX + person.name)
        await self._keep(client)
        return made

    async def exchange_refresh_token(
        self,
        client: OAuthClientInformationFull,
        refresh_token: RefreshToken,
        scopes: list[str],
    ) -> OAuthToken:
        """Return the next tokens of a client, with the groups as they are now. Raises
        `TokenError`."""
        before = self._read_person(refresh_token.token, "refresh")
        made = await super().exchange_refresh_token(client, refresh_token, scopes)
        if self._read_person(made.access_token).name != before.name:
            raise TokenError(
                "invalid_grant", "the provider answered about somebody else"
            )
        await self._keep(client)
        return made

    def _read_person(self, token: str, use: str = "access") -> Person:
        return read_claims(self.jwt_issuer.verify_token(token, use))

    async def _keep(self, client: OAuthClientInformationFull) -> None:
        await self._items.keep(client.client_id or "", CLIENTS, CLIENT_TTL_S)

    async def _extract_upstream_claims(
        self, idp_tokens: dict[str, Any]
    ) -> dict[str, Any]:
        """Return who signed in at the provider: FastMCP puts it into its token."""
        try:
            person = await self._provider.identify(idp_tokens)
        except LoginFailed as error:
            raise TokenError("invalid_grant", str(error)) from None
        return self._tokens.write_claims(person)

    def _prepare_scopes_for_upstream_refresh(self, scopes: list[str]) -> list[str]:
        """Return none: the provider's token keeps those that it has."""
        return []

    def _create_upstream_oauth_client(self) -> AsyncOAuth2Client:
        made = super()._create_upstream_oauth_client()
        return _ProviderClient(
            made.client_id, made.client_secret, made.token_endpoint_auth_method, 10.0
        )


def keep_registered_redirects(client: ProxyDCRClient) -> None:
    """Let `client` use its registered addresses, of those that are still allowed.

    They are compared exactly, but for the port on the user's own machine (RFC 9700
    §2.1, RFC 8252 §7.3).
    """
    allowed = client.allowed_redirect_uri_patterns
    client.redirect_uris = [
        one for one in client.redirect_uris or () if validate_redirect_uri(one, allowed)
    ]
    client.allowed_redirect_uri_patterns = None


def _explain(error: RegistrationError) -> str:
    return (
        f"{error.error_description} Whoever runs this server can allow it by"
        " mcp_redirects in [sso] of the herald.toml"
    )


class _ProviderClient(AsyncOAuth2Client):
    """Asks the provider for tokens."""

    async def _request_token(self, url: str, data: dict[str, Any]) -> dict[str, Any]:
        try:
            told = await super()._request_token(url, data)
        except (httpx2.HTTPError, ValueError):
            raise ProviderUnavailable(UNAVAILABLE_MESSAGE) from None
        # Its scopes are not those of this server. An ID token of a former answer says
        # nothing about now.
        told.pop("scope", None)
        return {"id_token": "", **told}


class _NoVerifier(TokenVerifier):
    """FastMCP verifies no requests here: `ProxiedTokens` does."""

    async def verify_token(self, token: str) -> AccessToken | None:
        return None


def choose_method(oidc: OidcSettings, metadata: ProviderMetadata) -> str:
    """Return how this server proves to the provider who it is."""
    if not oidc.client_secret:
        return "none"
    methods = metadata.token_endpoint_auth_methods_supported
    basic = "client_secret_basic"
    return basic if basic in methods else "client_secret_post"
