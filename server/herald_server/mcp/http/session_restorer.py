"""Open sessions of the older protocol again that this process does not have.

The client's first messages are replayed, under the id that the session has: the SDK
then knows the client's version and capabilities, as after the handshake itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from mcp.server.auth.middleware.bearer_auth import (
    AuthenticatedUser,
    authorization_context,
)
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Message, Receive, Scope

from herald_core.model.codec import to_json
from herald_server.mcp.http.accept_header import BOTH_MEDIA_TYPES
from herald_server.mcp.http.session_quota import SESSION_ID
from herald_server.mcp.http.session_records import (
    IS_REPLAY,
    SessionRecord,
    SessionRecords,
)

INITIALIZED: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class SessionRestorer:
    """Restores sessions from `records`; `find_manager` returns the SDK's manager."""

    def __init__(
        self,
        records: SessionRecords,
        find_manager: Callable[[], StreamableHTTPSessionManager | None],
    ) -> None:
        self._records = records
        self._find_manager = find_manager
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def restore(self, id_: str, owner: str, scope: Scope) -> bool:
        """Open the session `id_` of `owner`, the sender of `scope`, if it is not open.

        Returns True if that was done. Raises `StoreError`.
        """
        manager = self._find_manager()
        if manager is None or manager.stateless or _has(manager, id_):
            return False
        lock = self._locks.setdefault(id_, asyncio.Lock())
        async with lock:
            if _has(manager, id_):
                return False
            record = await self._records.find(id_)
            # Another credential's session is one that does not exist.
            if record is None or record.owner != owner:
                return False
            await _Replay(manager, id_, scope).run(record)
            return _has(manager, id_)


def _has(manager: StreamableHTTPSessionManager, id_: str) -> bool:
    return id_ in manager._server_instances  # pyright: ignore[reportPrivateUsage]


class _Replay:
    """Sends the messages of a record to a new session `id_`."""

    def __init__(
        self, manager: StreamableHTTPSessionManager, id_: str, scope: Scope
    ) -> None:
        self._manager = manager
        self._id = id_
        headers = {
            "content-type": "application/json",
            "accept": BOTH_MEDIA_TYPES,
            SESSION_ID: id_,
        }
        self._scope: Scope = {
            **scope,
            "method": "POST",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "state": {**scope["state"], IS_REPLAY: True},
        }

    async def run(self, record: SessionRecord) -> None:
        """Open the session, and subscribe it to what it was subscribed to."""
        transport = self._add_transport()
        await self._manager._serve_opening_request(  # pyright: ignore[reportPrivateUsage]
            transport, self._scope, _send_once(bytes(record.initialize)), _discard
        )
        await self._post(transport, INITIALIZED)
        for number, uri in enumerate(record.uris):
            subscribe = {"method": "resources/subscribe", "params": {"uri": uri}}
            id_ = f"herald-restore-{number}"
            await self._post(transport, {"jsonrpc": "2.0", "id": id_, **subscribe})

    def _add_transport(self) -> StreamableHTTPServerTransport:
        manager = self._manager
        transport = StreamableHTTPServerTransport(
            mcp_session_id=self._id,
            is_json_response_enabled=manager.json_response,
            security_settings=manager.security_settings,
            idle_timeout=manager.session_idle_timeout,
        )
        user = self._scope.get("user")
        if isinstance(user, AuthenticatedUser):
            owner = authorization_context(user)
            manager._session_owners[self._id] = owner  # pyright: ignore[reportPrivateUsage]
        manager._server_instances[self._id] = transport  # pyright: ignore[reportPrivateUsage]
        return transport

    async def _post(
        self, transport: StreamableHTTPServerTransport, message: dict[str, Any]
    ) -> None:
        if not transport.is_terminated:
            body = to_json(message)
            await transport.handle_request(self._scope, _send_once(body), _discard)


def _send_once(body: bytes) -> Receive:
    """Return a `receive` that returns `body`, and then waits until cancelled."""
    messages: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return receive


async def _discard(message: Message) -> None:
    """Drop a response: its client got it long ago."""
