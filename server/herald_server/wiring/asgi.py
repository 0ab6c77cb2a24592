"""Compose the ASGI application: REST, WebSocket, event stream, MCP and dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from celery import Celery
from msgspec import structs
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_server.api import dashboard
from herald_server.api.audit import AuditRoutes
from herald_server.api.authorization import AuthorizationRoutes
from herald_server.api.context import ServerContext
from herald_server.api.http.auth_middleware import AuthMiddleware
from herald_server.api.http.cross_origin import allow_origins
from herald_server.api.http.path_prefix import PathPrefixMiddleware
from herald_server.api.http.problems import HANDLED_ERRORS, handle_error
from herald_server.api.http.security_headers import SecurityHeaders
from herald_server.api.http.trailing_slash import serve_trailing_slashes
from herald_server.api.oauth import DiscoveryRoutes
from herald_server.api.openapi import routes as openapi
from herald_server.api.operator.orders import OrderRoutes
from herald_server.api.operator.page import PageRoutes
from herald_server.api.sign_in import SignInRoutes
from herald_server.api.sse import SseEndpoint
from herald_server.api.tasks import TaskRoutes
from herald_server.api.tokens import TokenRoutes
from herald_server.api.webhooks import WebhookRoutes
from herald_server.api.websocket import WebSocketEndpoint
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, AllowedOrigins
from herald_server.auth.oauth_proxy.tokens import ProxiedTokens
from herald_server.auth.quotas.cpu_metering import charge_tasks
from herald_server.auth.scoped_store import get_unscoped
from herald_server.auth.sso.service import SsoService
from herald_server.auth.tokens import Authenticator
from herald_server.push.connection.connection import PushContext
from herald_server.push.connection.sender import Timeouts
from herald_server.push.protocol import asyncapi
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.snapshots import SnapshotReader
from herald_server.webhooks.retry_policy import RetryPolicy
from herald_server.wiring.authentication import (
    make_authenticator,
    make_public_url,
    make_sso_service,
    run_token_tasks,
)
from herald_server.wiring.environments.definitions import list_environments
from herald_server.wiring.environments.dispatcher import EnvironmentDispatcher
from herald_server.wiring.environments.hosted import (
    DefaultEnvironment,
    HostedEnvironment,
)
from herald_server.wiring.mcp_endpoint import MCP_PATH, McpEndpoint
from herald_server.wiring.oauth_proxy import (
    make_authorization_server,
    make_proxied_tokens,
)
from herald_server.wiring.services import build_context, run_background_tasks
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.telemetry import run_telemetry

TOKEN_REQUIRED_PATHS = (MCP_PATH,)


def create_app(
    settings: ServerSettings,
    store: Store,
    app: Celery | None,
    limits: Limits | None = None,
    patience: Timeouts | None = None,
) -> Starlette:
    """Return the application. `store` is open already; its owner closes it.

    `settings.token` must be set: the server never runs without a token. `limits` and
    `patience` are those of each connection.
    """
    assert settings.token, "a server without a token would be open to everyone"
    authenticator = make_authenticator(settings, store)
    shared = build_context(settings, store, app)
    hosted = _make_hosted(settings, shared, limits, patience)
    middleware = _list_middleware(settings, hosted)
    made = _build_app(settings, shared, authenticator, middleware, limits, patience)
    made.state.hosted = hosted
    lifespan = made.router.lifespan_context

    @asynccontextmanager
    async def run_with_hosted(app: Starlette) -> AsyncGenerator[None]:
        async with lifespan(app), run_in_background(*(one.run() for one in hosted)):
            yield

    made.router.lifespan_context = run_with_hosted
    return made


def _make_hosted(
    settings: ServerSettings,
    shared: ServerContext,
    limits: Limits | None,
    patience: Timeouts | None,
) -> list[HostedEnvironment]:
    """Return the environments besides the default one, not running yet."""

    def make(
        name: str, chosen: ServerSettings, store: Store, celery: Celery
    ) -> Starlette:
        authenticator = make_authenticator(chosen, store, name, settings.catalog)
        context = structs.replace(
            build_context(chosen, store, celery),
            environments=shared.environments,
            environment=name,
        )
        return _build_app(
            chosen, context, authenticator, [], limits, patience, settings.catalog
        )

    hosted = [
        HostedEnvironment(name, chosen, make)
        for name, chosen in list_environments(settings).items()
    ]
    shared.environments.add(DefaultEnvironment(shared))
    for one in hosted:
        shared.environments.add(one)
    return hosted


def _build_app(
    settings: ServerSettings,
    shared: ServerContext,
    authenticator: Authenticator,
    outer: list[Middleware],
    limits: Limits | None,
    patience: Timeouts | None,
    shared_catalog: Path | None = None,
) -> Starlette:
    """Return the application of one environment, within the middleware `outer`.

    `shared_catalog` is the herald.toml of the server, if it is not the environment's.
    """
    push = _make_push_context(
        shared, authenticator, limits, patience, settings.max_connections
    )
    sockets, streams = WebSocketEndpoint(push), SseEndpoint(push)
    mcp = McpEndpoint(settings, shared)
    proxied = make_proxied_tokens(settings, shared.environment)
    sso = make_sso_service(
        settings, get_unscoped(shared.store), authenticator, shared_catalog
    )
    public_url = make_public_url(settings, shared.environment)
    made = Starlette(
        routes=[
            *_list_routes(shared, authenticator, sockets, streams),
            *SignInRoutes(shared, sso, public_url).list_routes(),
            *_make_discovery(settings, shared, authenticator).list_routes(),
            *_make_authorization(settings, shared, proxied, mcp).list_routes(),
            # A route, not a mount, so that the server's app answers unknown paths.
            Route(MCP_PATH, mcp),
        ],
        middleware=[
            *outer,
            _make_auth_middleware(settings, shared, authenticator, sso),
        ],
        exception_handlers=dict.fromkeys(HANDLED_ERRORS, handle_error),
        lifespan=lambda _: _run_lifespan(shared, authenticator, mcp, settings),
    )
    serve_trailing_slashes(made.router)
    made.state.sockets = sockets
    made.state.streams = streams
    made.state.shared = shared
    made.state.authenticator = authenticator
    made.state.mcp = mcp
    return made


def _list_routes(
    shared: ServerContext,
    authenticator: Authenticator,
    sockets: WebSocketEndpoint,
    streams: SseEndpoint,
) -> list[BaseRoute]:
    async def ws(socket: WebSocket) -> None:
        await sockets(socket)

    return [
        *dashboard.make_routes(),
        *asyncapi.make_routes(),
        *openapi.make_routes(),
        *TokenRoutes(shared, authenticator).list_routes(),
        *AuditRoutes(shared).list_routes(),
        *PageRoutes(shared).list_routes(),
        *(WebhookRoutes(shared.webhooks).list_routes() if shared.webhooks else ()),
        *OrderRoutes(shared).list_routes(),
        *TaskRoutes(shared).list_routes(),
        Route("/events", streams, methods=["GET"]),
        WebSocketRoute("/ws", ws),
    ]


def _make_discovery(
    settings: ServerSettings, shared: ServerContext, authenticator: Authenticator
) -> DiscoveryRoutes:
    is_root = shared.environment == DEFAULT_ENVIRONMENT
    others = list_environments(settings) if is_root else {}
    return DiscoveryRoutes(authenticator.resource, others.__contains__)


def _make_authorization(
    settings: ServerSettings,
    shared: ServerContext,
    tokens: ProxiedTokens | None,
    mcp: McpEndpoint,
) -> AuthorizationRoutes:
    store: Store = get_unscoped(shared.store)
    server = make_authorization_server(
        settings, store, tokens, shared.audit, mcp.get_server
    )
    return AuthorizationRoutes(server)


def _list_middleware(
    settings: ServerSettings, hosted: Iterable[HostedEnvironment]
) -> list[Middleware]:
    environments = {one.name: one for one in hosted}
    dispatch = Middleware(EnvironmentDispatcher, environments=environments)
    return [
        Middleware(SecurityHeaders),
        *allow_origins(settings.allowed_origins),
        *_make_prefix_middleware(settings),
        *([dispatch] if environments else ()),
    ]


def _make_auth_middleware(
    settings: ServerSettings,
    shared: ServerContext,
    authenticator: Authenticator,
    sso: SsoService | None,
) -> Middleware:
    hosts = (*settings.allowed_hosts, settings.host)
    return Middleware(
        AuthMiddleware,
        authenticator=authenticator,
        allowed_origins=AllowedOrigins(hosts, settings.allowed_origins),
        closed_paths=TOKEN_REQUIRED_PATHS,
        ambient=sso.ambient if sso else None,
        metrics=shared.metrics,
        accounts=shared.accounts,
        probe_hosts=AllowedOrigins(settings.probe_hosts),
    )


def _make_prefix_middleware(settings: ServerSettings) -> list[Middleware]:
    prefix = settings.root_path
    return [Middleware(PathPrefixMiddleware, prefix=prefix)] if prefix else []


def _make_push_context(
    shared: ServerContext,
    authenticator: Authenticator,
    limits: Limits | None,
    patience: Timeouts | None,
    max_connections: int,
) -> PushContext:
    limits = limits or Limits()
    return PushContext(
        shared.hub,
        SnapshotReader(shared.store, shared.hub, shared.log_reader, limits),
        authenticator,
        shared.status,
        shared.node,
        limits,
        patience or Timeouts(),
        metrics=shared.metrics,
        accounts=shared.accounts,
        max_connections=max_connections,
    )


@asynccontextmanager
async def _run_lifespan(
    shared: ServerContext,
    authenticator: Authenticator,
    mcp: McpEndpoint,
    settings: ServerSettings,
) -> AsyncGenerator[None]:
    charge_tasks(asyncio.get_running_loop())
    async with (
        run_in_background(mcp.run()),
        run_background_tasks(shared),
        run_token_tasks(authenticator),
        run_webhooks(shared, RetryPolicy(first=settings.webhooks_retry)),
        run_telemetry(shared, settings),
    ):
        yield


@asynccontextmanager
async def run_webhooks(
    shared: ServerContext, policy: RetryPolicy
) -> AsyncGenerator[None]:
    """Deliver webhooks while the block runs, if this process holds the lease."""
    # Imported here: it brings an HTTP client, which `herald --help` need not wait for.
    from herald_server.webhooks.delivery.dispatcher import run_dispatcher

    assert shared.webhooks is not None
    store: Store = get_unscoped(shared.store)
    async with run_dispatcher(shared.webhooks, store, shared.hub, shared.node, policy):
        yield
