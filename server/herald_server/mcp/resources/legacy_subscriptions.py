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
from herald_server.mcp.http.session_records import IS_REPLAY, SessionRecords
from herald_server.mcp.resources.watcher import MAX_WATCHED, ResourceWatcher
from herald_server.mcp.uris import URI_FORMS, is_watchable
from herald_server.push.log.hub import Hub
from herald_server.push.status import ServerStatus

SUBSCRIPTIONS_KEY = "herald.subscriptions"

Request = ServerRequestContext[Any, Any]


class LegacySubscriptions:
    """The subscriptions of clients of the older protocol, per connection."""

    def __init__(self, hub: Hub, status: ServerStatus, records: SessionRecords) -> None:
        self._hub = hub
        self._status = status
        self._records = records
        self._watchers: dict[str, dict[str, ResourceWatcher]] = {}
        """Those of each session, by URI."""

    def register(self, mcp: FastMCP[Any]) -> None:
        """Serve both methods on `mcp`."""
        server = mcp._mcp_server  # pyright: ignore[reportPrivateUsage]
        server.add_request_handler(
            "resources/subscribe", SubscribeRequestParams, self._subscribe
        )
        server.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )

    def repeat_all(self, session_id: str) -> None:
        """Report all resources of a session as changed.

        Its client has opened its stream of notifications anew: earlier ones are lost.
        """
        for uri, watching in self._watchers.get(session_id, {}).items():
            watching.repeat(uri)

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
                subscriptions[uri] = self._start(connection, watching, uri)
            if not _is_replay(ctx):
                await self._records.set_uris(connection.session_id, subscriptions)
        return EmptyResult()

    def _start(
        self, connection: Connection, watching: ResourceWatcher, uri: str
    ) -> asyncio.Task[None]:
        """Start sending updates until the returned task is cancelled."""
        watching.__enter__()
        known = self._watchers.setdefault(connection.session_id or "", {})
        known[uri] = watching
        task = asyncio.create_task(_send_updates(connection, watching))
        # No `with` inside: a task that is cancelled early never enters it.
        task.add_done_callback(lambda _: self._stop(connection, watching, uri))
        return task

    def _stop(
        self, connection: Connection, watching: ResourceWatcher, uri: str
    ) -> None:
        watching.__exit__(None, None, None)
        session_id = connection.session_id or ""
        known = self._watchers.get(session_id, {})
        if known.get(uri) is watching:
            del known[uri]
        if not known:
            self._watchers.pop(session_id, None)

    async def _unsubscribe(
        self, ctx: Request, params: UnsubscribeRequestParams
    ) -> EmptyResult:
        connection = _get_connection(ctx)
        subscriptions = _get_subscriptions(connection)
        task = subscriptions.pop(str(params.uri), None)
        if task is not None:
            task.cancel()
            await self._records.set_uris(connection.session_id, subscriptions)
        return EmptyResult()


def _get_connection(ctx: Request) -> Connection:
    # The session has no public method to send a notification outside a request.
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


def _is_replay(ctx: Request) -> bool:
    """Return True if the server restores the session of the request."""
    state: dict[str, Any] = ctx.request.scope["state"] if ctx.request else {}
    return IS_REPLAY in state


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


async def _send_updates(connection: Connection, watching: ResourceWatcher) -> None:
    while things := await watching.wait_for_changes():
        for uri in things:
            await connection.notify("notifications/resources/updated", {"uri": uri})
