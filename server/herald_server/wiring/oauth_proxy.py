"""Build the authorization server of MCP clients, where `[sso]` has `mcp_proxy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from herald_core.errors import InvalidInput
from herald_core.store.key_value import KeyValueStore
from herald_server.api.authorization import AuthorizationServer
from herald_server.api.http.problems import (
    HANDLED_ERRORS,
    handle_error,
    make_problem_response,
)
from herald_server.api.http.trailing_slash import serve_trailing_slashes
from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, LOOPBACK
from herald_server.auth.oauth_proxy.items import ProxyItems
from herald_server.auth.oauth_proxy.tokens import ENDPOINTS_PATH, ProxiedTokens
from herald_server.auth.sso.cookies import SsoCipher
from herald_server.auth.sso.oidc import OidcProvider
from herald_server.auth.sso.provider_endpoints import (
    ProviderMetadata,
    ProviderUnavailable,
)
from herald_server.auth.sso.settings import SsoSettings, read_sso_settings
from herald_server.auth.tokens.protected_resource import MCP_PATH, ProtectedResource
from herald_server.wiring.settings import ServerSettings

if TYPE_CHECKING:
    from herald_server.mcp.server import HeraldMcpServer


def make_proxied_tokens(
    settings: ServerSettings, environment: str
) -> ProxiedTokens | None:
    """Return what verifies the tokens that clients get here; None if they get none.

    Raises `InvalidInput`.
    """
    found = read_sso_settings(settings.catalog).keep_groups(environment)
    if not found.mcp_proxy:
        return None
    if environment != DEFAULT_ENVIRONMENT:
        raise InvalidInput(
            f"{settings.catalog}: [sso] mcp_proxy is for the default environment only"
        )
    if settings.root_path.split("/")[1:2] == [ENDPOINTS_PATH.strip("/")]:
        raise InvalidInput(
            f"HERALD_ROOT_PATH: {ENDPOINTS_PATH} is a path of Herald's own with"
            " mcp_proxy; choose another one"
        )
    secret = settings.signing_secret
    assert secret
    public_url = _check_public_url(settings.public_url)
    return ProxiedTokens(public_url, secret, found.groups, settings.oauth_scopes)


def _check_public_url(url: str | None) -> str:
    place = urlsplit(url or "")
    if place.scheme == "https" or place.hostname in LOOPBACK:
        return url or ""
    raise InvalidInput(
        "[sso] mcp_proxy = true needs HERALD_PUBLIC_URL, the https:// address by which"
        " clients reach this server"
    )


def make_proxied_resource(
    tokens: ProxiedTokens, settings: ServerSettings
) -> ProtectedResource:
    """Return how clients learn that this server is their authorization server."""
    return ProtectedResource(tokens.issuer, settings.oauth_scopes, tokens.public_url)


def make_authorization_server(
    settings: ServerSettings,
    store: KeyValueStore,
    tokens: ProxiedTokens | None,
    audit: AuditLog,
    get_mcp: Callable[[], HeraldMcpServer],
) -> AuthorizationServer | None:
    """Return the authorization server of MCP clients; None if there is none.

    Its page has the name and the icon of what `get_mcp` returns.
    """
    if tokens is None:
        return None
    found = read_sso_settings(settings.catalog)
    secret, oidc = settings.signing_secret, found.oidc
    assert secret
    assert oidc
    provider = OidcProvider(oidc)
    items = ProxyItems(store, SsoCipher(secret))

    def make(metadata: ProviderMetadata) -> Starlette:
        app = _make_app(settings, found, provider, metadata, tokens, items, audit)
        # Otherwise the page has an icon of FastMCP's, from elsewhere.
        app.state.fastmcp_server = get_mcp()
        return app

    return AuthorizationServer(provider, make)


def _make_app(
    settings: ServerSettings,
    found: SsoSettings,
    provider: OidcProvider,
    metadata: ProviderMetadata,
    tokens: ProxiedTokens,
    items: ProxyItems,
    audit: AuditLog,
) -> Starlette:
    # Imported here: it is slow, and needed once the first client comes.
    from herald_server.auth.oauth_proxy.provider import McpProxy

    scopes = make_proxied_resource(tokens, settings).list_scopes()
    proxy = McpProxy(provider, metadata, found, tokens, items, scopes, audit)
    app = Starlette(
        routes=proxy.get_routes(MCP_PATH),
        exception_handlers={
            **dict.fromkeys(HANDLED_ERRORS, handle_error),
            ProviderUnavailable: _report_unavailable,
        },
    )
    serve_trailing_slashes(app.router)
    return app


async def _report_unavailable(request: Request, error: Exception) -> Response:
    return make_problem_response(503, str(error))
