"""The endpoints of the authorization server of MCP clients.

Nothing is asked of the provider before the first client comes.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herald_server.api.http.body import MAX_BODY_BYTES
from herald_server.api.http.problems import Problem, make_problem_response
from herald_server.auth.oauth_proxy.tokens import ENDPOINTS_PATH
from herald_server.auth.sso.oidc import OidcProvider
from herald_server.auth.sso.provider_endpoints import (
    LoginFailed,
    ProviderMetadata,
    ProviderUnavailable,
)

SERVER_METADATA = "/.well-known/oauth-authorization-server"
"""Path of the description of an authorization server (RFC 8414 §3)."""

NO_SERVER = (
    "this server is no authorization server; see mcp_proxy in [sso] of the herald.toml"
)


class AuthorizationServer:
    """ASGI application of the endpoints.

    `make` makes it anew when the provider's metadata change.
    """

    def __init__(
        self, provider: OidcProvider, make: Callable[[ProviderMetadata], ASGIApp]
    ) -> None:
        self._provider = provider
        self._make = make
        self._made: tuple[ProviderMetadata, ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; 503 while the provider does not answer."""
        try:
            app = await self._get_app()
            body = await _read_body(Request(scope, receive))
        except (ProviderUnavailable, LoginFailed) as error:
            await make_problem_response(503, str(error))(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await app(scope, _replay(body, receive), send)

    async def describe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the description (RFC 8414), which FastMCP writes."""
        below = {**scope, "path": SERVER_METADATA, "root_path": ""}
        await self(below, receive, send)

    async def _get_app(self) -> ASGIApp:
        metadata = await self._provider.read_metadata()
        if self._made is None or self._made[0] != metadata:
            self._made = metadata, self._make(metadata)
        return self._made[1]


class AuthorizationRoutes:
    """Routes of the authorization server, if this server is one."""

    def __init__(self, server: AuthorizationServer | None) -> None:
        self._server = server

    def list_routes(self) -> list[BaseRoute]:
        """Return the routes: the endpoints are below `ENDPOINTS_PATH`."""
        routes: list[BaseRoute] = [
            Route(SERVER_METADATA, self.describe, methods=["GET"]),
            Route(f"{SERVER_METADATA}/{{path:path}}", self.describe, methods=["GET"]),
        ]
        if self._server is not None:
            routes.append(Mount(ENDPOINTS_PATH, self._server))
        return routes

    async def describe(self, request: Request) -> Response:
        """Return the metadata of the authorization server of MCP clients. Needs no
        token."""
        if self._server is None:
            raise Problem(404, NO_SERVER)
        given = request.path_params.get("path", "")
        if f"/{given}".rstrip("/") not in ("", request.scope.get("root_path", "")):
            raise Problem(404, f"there is nothing at {request.url.path}")
        return _Forwarded(self._server.describe)


class _Forwarded(Response):
    """The response of another application to the same request."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, f"a body is at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns `body` first."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return parts.pop() if parts else await receive()

    return replay
