"""The ASGI application: all doors on one port."""

from __future__ import annotations

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
from herald_server.auth import Identity, Surroundings, Tokens
from herald_server.config import ServerSettings
from herald_server.http import Api
from herald_server.http_auth import Guard
from herald_server.limits import Limits
from herald_server.problems import HANDLED, answer
from herald_server.pump import Door, Patience
from herald_server.reading import Library
from herald_server.rooted import Rooted
from herald_server.sharing import share, working
from herald_server.sse import Streams
from herald_server.state import Shared
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
    tokens = Tokens({settings.token: Identity("owner")})
    shared = share(settings, store, app)
    door = _door(shared, tokens, limits, patience)
    sockets, streams, api = Sockets(door), Streams(door), Api(shared)
    # Imported here: it costs half a second, which `herald --help` need not wait.
    from herald_server.mcp.door import build_mcp
    from herald_server.mcp.results import BackendResults

    results = BackendResults(app, Redactor(settings.redact)) if app else None
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
            *api.routes(),
            Route("/events", streams, methods=["GET"]),
            WebSocketRoute("/ws", ws),
            # A route, not a mount: what leads nowhere is for us to answer.
            Route("/mcp", mcp_app),
        ],
        middleware=[
            *_rooted(settings),
            Middleware(Guard, tokens=tokens, around=around, closed=CLOSED),
        ],
        exception_handlers=dict.fromkeys(HANDLED, answer),
        lifespan=lambda _: _lifespan(shared, mcp_app),
    )
    made.state.sockets = sockets
    made.state.streams = streams
    made.state.polls = api.polls
    made.state.shared = shared
    made.state.mcp = mcp_door
    return made


def _rooted(settings: ServerSettings) -> list[Middleware]:
    prefix = settings.root_path
    return [Middleware(Rooted, prefix=prefix)] if prefix else []


def _door(
    shared: Shared, tokens: Tokens, limits: Limits | None, patience: Patience | None
) -> Door:
    limits = limits or Limits()
    return Door(
        shared.hub,
        Library(shared.store, shared.hub, shared.feed, limits),
        tokens,
        shared.status,
        shared.node,
        limits,
        patience or Patience(),
        tally=shared.tally,
    )


@asynccontextmanager
async def _lifespan(
    shared: Shared, mcp_app: StarletteWithLifespan
) -> AsyncGenerator[None]:
    async with mcp_app.lifespan(mcp_app), working(shared):
        yield
