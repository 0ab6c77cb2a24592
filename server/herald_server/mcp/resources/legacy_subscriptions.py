"""`resources/subscribe` and `unsubscribe`, per connection (older protocol)."""

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

from herald_core.system.cancellation import cancel_tasks
from herald_server.mcp.http.auth import convert_to_mcp_error, require_scope
from herald_server.mcp.resources.watcher import MAX_WATCHED, ResourceWatcher
from herald_server.mcp.uris import URI_FORMS, is_watchable
from herald_server.push.log.hub import Hub
from herald_server.push.status import ServerStatus

SUBSCRIPTIONS_KEY = "herald.subscriptions"

Request = ServerRequestContext[Any, Any]


class LegacySubscriptions:
    """The subscriptions of clients of the older protocol, per connection."""

    def __init__(self, hub: Hub, status: ServerStatus) -> None:
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

    def is_watchable(self, uri: str) -> bool:
        """Return True if `uri` can be subscribed to."""
        return is_watchable(uri)

    async def _subscribe(
        self, ctx: Request, params: SubscribeRequestParams
    ) -> EmptyResult:
        with convert_to_mcp_error():
            require_scope("read", "resources/subscribe")
        uri = str(params.uri)
        if not self.is_watchable(uri):
            raise MCPError(
                INVALID_PARAMS,
                f"{uri[:80]!r} never changes or does not exist; "
                f"subscribe to {URI_FORMS}",
            )
        connection = _get_connection(ctx)
        subscriptions = _get_subscriptions(connection)
        if len(subscriptions) >= MAX_WATCHED:
            raise MCPError(
                INVALID_PARAMS, f"subscribe to at most {MAX_WATCHED} resources"
            )
        if uri not in subscriptions:
            # Subscribed before the response, so that no later change is missed.
            with convert_to_mcp_error():
                watching = ResourceWatcher(self._hub, self._status, [uri])
                subscriptions[uri] = _start_watching(connection, watching)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: Request, params: UnsubscribeRequestParams
    ) -> EmptyResult:
        task = _get_subscriptions(_get_connection(ctx)).pop(str(params.uri), None)
        if task is not None:
            task.cancel()
        return EmptyResult()


def _get_connection(ctx: Request) -> Connection:
    # The session has no public method to send a notification outside a request.
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


def _get_subscriptions(connection: Connection) -> dict[str, asyncio.Task[None]]:
    """Return the running subscriptions of `connection`; they end with it."""
    if SUBSCRIPTIONS_KEY not in connection.state:
        subscriptions: dict[str, asyncio.Task[None]] = {}
        connection.state[SUBSCRIPTIONS_KEY] = subscriptions
        connection.exit_stack.push_async_callback(_cancel_all, subscriptions)
    found: dict[str, asyncio.Task[None]] = connection.state[SUBSCRIPTIONS_KEY]
    return found


async def _cancel_all(subscriptions: dict[str, asyncio.Task[None]]) -> None:
    await cancel_tasks(*subscriptions.values())
    subscriptions.clear()


def _start_watching(
    connection: Connection, watching: ResourceWatcher
) -> asyncio.Task[None]:
    """Start sending updates until the returned task is cancelled."""
    watching.__enter__()
    task = asyncio.create_task(_send_updates(connection, watching))
    # No `with` inside: a task that is cancelled early never enters it.
    task.add_done_callback(lambda _: watching.__exit__(None, None, None))
    return task


async def _send_updates(connection: Connection, watching: ResourceWatcher) -> None:
    while things := await watching.wait_for_changes():
        for uri in things:
            await connection.notify("notifications/resources/updated", {"uri": uri})
