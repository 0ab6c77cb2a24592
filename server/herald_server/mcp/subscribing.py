"""`resources/subscribe` and `unsubscribe`: told on the connection (older protocol)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastmcp import FastMCP
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from herald_server.hub import Hub
from herald_server.mcp.access import demand, serving
from herald_server.mcp.uris import FORMS, watchable
from herald_server.mcp.watching import MOST, Watching
from herald_server.status import Status

KEY = "herald.subscriptions"

Request = ServerRequestContext[Any, Any]


class Subscribing:
    """What the clients of the older protocol subscribed to, each on its connection."""

    def __init__(self, hub: Hub, status: Status) -> None:
        self._hub = hub
        self._status = status

    def register(self, mcp: FastMCP[Any]) -> None:
        """Serve both methods on `mcp`."""
        server = mcp._mcp_server  # pyright: ignore[reportPrivateUsage]
        server.add_request_handler(
            "resources/subscribe", SubscribeRequestParams, self._subscribe
        )
        server.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )

    def watchable(self, uri: str) -> bool:
        """Say whether `uri` can be subscribed to."""
        return watchable(uri)

    async def _subscribe(
        self, ctx: Request, params: SubscribeRequestParams
    ) -> EmptyResult:
        with serving():
            demand("read", "resources/subscribe")
        uri = str(params.uri)
        if not self.watchable(uri):
            raise MCPError(
                INVALID_PARAMS,
                f"{uri[:80]!r} never changes or does not exist; subscribe to {FORMS}",
            )
        connection = _connection(ctx)
        told = _subscriptions(connection)
        if len(told) >= MOST:
            raise MCPError(INVALID_PARAMS, f"subscribe to at most {MOST} resources")
        if uri not in told:
            # Watched before this is answered: what happens next is told.
            with serving():
                watching = Watching(self._hub, self._status, [uri])
                told[uri] = _told(connection, watching)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: Request, params: UnsubscribeRequestParams
    ) -> EmptyResult:
        task = _subscriptions(_connection(ctx)).pop(str(params.uri), None)
        if task is not None:
            task.cancel()
        return EmptyResult()


def _connection(ctx: Request) -> Connection:
    # The session offers no public way to tell something outside a request.
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


def _subscriptions(connection: Connection) -> dict[str, asyncio.Task[None]]:
    """Return the running subscriptions of `connection`; they end with it."""
    if KEY not in connection.state:
        told: dict[str, asyncio.Task[None]] = {}
        connection.state[KEY] = told
        connection.exit_stack.push_async_callback(_end, told)
    found: dict[str, asyncio.Task[None]] = connection.state[KEY]
    return found


async def _end(told: dict[str, asyncio.Task[None]]) -> None:
    for task in told.values():
        task.cancel()
    await asyncio.gather(*told.values(), return_exceptions=True)
    told.clear()


def _told(connection: Connection, watching: Watching) -> asyncio.Task[None]:
    """Begin to watch, and tell of it until the task that is returned is cancelled."""
    watching.__enter__()
    task = asyncio.create_task(_tell(connection, watching))
    # No `with` inside: a task that is cancelled early never gets there.
    task.add_done_callback(lambda _: watching.__exit__(None, None, None))
    return task


async def _tell(connection: Connection, watching: Watching) -> None:
    while things := await watching.changed():
        for uri in things:
            await connection.notify("notifications/resources/updated", {"uri": uri})
