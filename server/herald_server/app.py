"""The ASGI application: all doors on one port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from celery import Celery
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from herald_monitor.model.redaction import Redactor
from herald_monitor.store import Store
from herald_server import asyncapi, pages
from herald_server.audit_http import AuditRoutes
from herald_server.auth import Surroundings
from herald_server.config import ServerSettings
from herald_server.cross_origin import allow_origins
from herald_server.http import Api
from herald_server.http_auth import Guard
from herald_server.http_webhooks import Webhooks
from herald_server.limits import Limits
from herald_server.metering import meter_tasks
from herald_server.problems import HANDLED, answer
from herald_server.pump import Door
from herald_server.reading import Library
from herald_server.rooted import Rooted
from herald_server.security_headers import SecurityHeaders
from herald_server.seen import whole
from herald_server.sharing import share, working
from herald_server.sse import Streams
from herald_server.state import Shared
from herald_server.telling import Patience
from herald_server.tokens import Keyring
from herald_server.tokens.http import TokenRoutes
from herald_server.tokens.opening import kept, keyring_of
from herald_server.trailing_slash import serve_trailing_slashes
from herald_server.webhooks.backoff import Pace
from herald_server.ws import Sockets

if TYPE_CHECKING:
    from fastmcp.server.http import StarletteWithLifespan

CLOSED = ("/mcp",)


def create_app(
    settings: ServerSettings,
    store: Store,
    app: Celery | None,
    limits: Limits | None = None,
    patience: Patience | None = None,
) -> Starlette:
    """Return the application. `store` is open already; its owner closes it.

    `settings.token` must be set: there is no door without a token. `limits` and
    `patience` are those of each connection.
    """
    assert settings.token, "a server without a token would be an open door"
    keyring = keyring_of(settings, store)
    shared = share(settings, store, app)
    door = _door(shared, keyring, limits, patience, settings.max_connections)
    sockets, streams, api = Sockets(door), Streams(door), Api(shared)
    # Imported here: it costs half a second, which `herald --help` need not wait.
    from herald_server.mcp.door import build_mcp
    from herald_server.mcp.owned import Owned
    from herald_server.mcp.results import BackendResults
    from herald_server.mcp.session_quota import SessionQuota

    redact = Redactor(settings.redact)
    results = BackendResults(shared.backend, redact) if shared.backend else None
    mcp_door = build_mcp(shared, results)
    mcp_app = mcp_door.http_app(path="/mcp", stateless_http=settings.workers > 1)

    async def ws(socket: WebSocket) -> None:
        await sockets(socket)

    around = Surroundings(
        (*settings.allowed_hosts, settings.host), settings.allowed_origins
    )
    made = Starlette(
        routes=[
            *pages.routes(),
            *asyncapi.routes(),
            *TokenRoutes(shared, keyring).routes(),
            *AuditRoutes(shared).routes(),
            *(Webhooks(shared.desk).routes() if shared.desk else ()),
            *api.routes(),
            Route("/events", streams, methods=["GET"]),
            WebSocketRoute("/ws", ws),
            # A route, not a mount: what leads nowhere is for us to answer.
            Route("/mcp", Owned(mcp_app, SessionQuota(mcp_door.sessions))),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            *allow_origins(settings.allowed_origins),
            *_rooted(settings),
            Middleware(
                Guard,
                keyring=keyring,
                around=around,
                closed=CLOSED,
                tally=shared.tally,
                accounts=shared.accounts,
            ),
        ],
        exception_handlers=dict.fromkeys(HANDLED, answer),
        lifespan=lambda _: _lifespan(shared, keyring, mcp_app, settings),
    )
    serve_trailing_slashes(made.router)
    made.state.sockets = sockets
    made.state.streams = streams
    made.state.polls = api.polls
    made.state.shared = shared
    made.state.keyring = keyring
    made.state.mcp = mcp_door
    return made


def _rooted(settings: ServerSettings) -> list[Middleware]:
    prefix = settings.root_path
    return [Middleware(Rooted, prefix=prefix)] if prefix else []


def _door(
    shared: Shared,
    keyring: Keyring,
    limits: Limits | None,
    patience: Patience | None,
    most: int,
) -> Door:
    limits = limits or Limits()
    return Door(
        shared.hub,
        Library(shared.store, shared.hub, shared.feed, limits),
        keyring,
        shared.status,
        shared.node,
        limits,
        patience or Patience(),
        tally=shared.tally,
        accounts=shared.accounts,
        most=most,
    )


@asynccontextmanager
async def _lifespan(
    shared: Shared,
    keyring: Keyring,
    mcp_app: StarletteWithLifespan,
    settings: ServerSettings,
) -> AsyncGenerator[None]:
    meter_tasks(asyncio.get_running_loop())
    async with (
        mcp_app.lifespan(mcp_app),
        working(shared),
        kept(keyring),
        delivered(shared, Pace(first=settings.webhooks_retry)),
    ):
        yield


@asynccontextmanager
async def delivered(shared: Shared, pace: Pace) -> AsyncGenerator[None]:
    """Deliver webhooks while the block runs, in turn with other servers."""
    # Imported here: it brings an HTTP client, which `herald --help` need not wait for.
    from herald_server.webhooks.delivering import delivering

    assert shared.desk is not None
    store: Store = whole(shared.store)
    async with delivering(shared.desk, store, shared.hub, shared.node, pace):
        yield
