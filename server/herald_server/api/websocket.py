"""The WebSocket endpoint: handshakes, and the transport of a session's frames."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from herald_server.auth.identity import (
    TOKEN_PROTOCOL_PREFIX,
    parse_bearer,
    parse_protocol_token,
)
from herald_server.auth.quotas.close_codes import BAD_PROTOCOL, CONNECTION_LIMIT
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.cpu_metering import run_for_caller
from herald_server.auth.request_context import get_request_context
from herald_server.auth.sso.ambient import AMBIENT_TOKEN
from herald_server.push.connection.connection import Connection, PushContext
from herald_server.push.connection.registry import ConnectionRegistry
from herald_server.push.connection.transport import (
    EXTENSION,
    DirectWebSocket,
    TransportClosed,
)
from herald_server.push.protocol import frames

CLOSE_TIMEOUT_S = 1.0


class WebSocketEndpoint(ConnectionRegistry):
    """The WebSocket route, and its open connections."""

    def __init__(self, door: PushContext) -> None:
        super().__init__()
        self._context = door

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side closes it."""
        given: list[object] = socket.scope["headers"]
        offered: list[str] = socket.scope.get("subprotocols", [])
        wire = WebSocketTransport(socket)
        if offered and frames.PROTOCOL_NAME not in offered:
            await socket.accept()
            await wire.close(BAD_PROTOCOL, f"speak {frames.PROTOCOL_NAME}")
            return
        if self._context.is_full:
            await socket.accept(frames.PROTOCOL_NAME if offered else None)
            await wire.close(
                CONNECTION_LIMIT, "as many connections as may be; come back later"
            )
            return
        token = (
            parse_bearer(socket.headers.get("authorization"))
            or parse_protocol_token(offered)
            or socket.scope["state"].get(AMBIENT_TOKEN)
        )
        sent = token is not None or any(
            p.startswith(TOKEN_PROTOCOL_PREFIX) for p in offered
        )
        if not sent:
            wire.expect_token()
        # Only the protocol's name is echoed: the other value is the token.
        await socket.accept(frames.PROTOCOL_NAME if offered else None)
        # The callers' frames keep them referenced while it runs.
        given.clear()
        wire.release_handshake()
        serve = partial(self._serve, wire, token, sent)
        caller = get_request_context()
        if not wire.continue_with(partial(run_for_caller, caller, serve)):
            await serve()

    async def _serve(
        self, wire: WebSocketTransport, token: str | None, sent: bool
    ) -> None:
        pump = Connection(self._context, wire)
        with self.register(pump):
            await pump.run(token, sent, wire.admit)


class WebSocketTransport:
    """A `Line` over Starlette's WebSocket; over our server's own, without it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket: WebSocket | DirectWebSocket = socket
        extensions: dict[str, Any] = socket.scope.get("extensions", {})
        self._extension: DirectWebSocket | None = extensions.get(EXTENSION)
        self.try_send: Callable[[bytes], bool] = (
            _put_nothing if self._extension is None else self._extension.try_send
        )

    def release_handshake(self) -> None:
        """Release data that only the handshake needed."""
        if self._extension is not None:
            self._extension.release_handshake()

    def continue_with(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do `work` once the application has returned; return False if the server does
        not go on then.
        """
        if self._extension is None:
            return False
        self._socket = self._extension
        self._extension.continue_with(work)
        return True

    def expect_token(self) -> None:
        """Accept only a message small enough for a token until one is given."""
        if self._extension is not None:
            self._extension.expect_token()

    def admit(self, account: Account) -> None:
        """Record that a valid token was given; `account` is charged from now on."""
        if self._extension is not None:
            self._extension.admit(account)

    async def receive(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise TransportClosed
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def send(self, frame: bytes) -> None:
        if self._extension is not None:
            while not self._extension.try_send(frame):
                await self._extension.drain()
            return
        try:
            await self._socket.send({"type": "websocket.send", "text": frame.decode()})
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise TransportClosed from error

    def hold(self, size: int) -> None:
        if self._extension is not None:
            self._extension.hold(size)

    async def close(self, code: int, reason: str) -> None:
        message = {"type": "websocket.close", "code": code, "reason": reason}
        # One of these errors if it is closed already.
        with suppress(WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.send(message)

    def abort(self, code: int, reason: str) -> None:
        if self._extension is not None:
            self._extension.abort(code, reason)


def _put_nothing(frame: bytes) -> bool:
    """Return False: another server than ours cannot be written to directly."""
    return False
