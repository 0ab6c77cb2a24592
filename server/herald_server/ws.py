"""The WebSocket door: handshakes, and what a session's frames travel over."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from herald_server import frames
from herald_server.auth import PROTOCOL, bearer, protocol_token
from herald_server.cpu_budget import Account
from herald_server.crowd import Crowd
from herald_server.limits import BAD_PROTOCOL, FULL
from herald_server.line import WIRE, Gone, Wire
from herald_server.pump import Door, Pump

CLOSE_WITHIN = 1.0


class Sockets(Crowd):
    """The WebSocket route, and the connections that are open."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side ends it."""
        given: list[object] = socket.scope["headers"]
        offered: list[str] = socket.scope.get("subprotocols", [])
        wire = SocketLine(socket)
        if offered and frames.NAME not in offered:
            await socket.accept()
            await wire.close(BAD_PROTOCOL, f"speak {frames.NAME}")
            return
        if self._door.full:
            await socket.accept(frames.NAME if offered else None)
            await wire.close(FULL, "as many connections as may be; come back later")
            return
        token = bearer(socket.headers.get("authorization")) or protocol_token(offered)
        sent = token is not None or any(p.startswith(PROTOCOL) for p in offered)
        if not sent:
            wire.expect_token()
        # Only our own name is echoed: the other protocol is the token.
        await socket.accept(frames.NAME if offered else None)
        # As long as it lasts those who called us hold on to them.
        given.clear()
        wire.settle()
        pump = Pump(self._door, wire)
        with self.joined(pump):
            await pump.run(token, sent, wire.admit)


class SocketLine:
    """A `Line` over a WebSocket of Starlette's."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        extensions: dict[str, Any] = socket.scope.get("extensions", {})
        self._wire: Wire | None = extensions.get(WIRE)

    def settle(self) -> None:
        """Forget what only the handshake needed."""
        if self._wire is not None:
            self._wire.settle()

    def expect_token(self) -> None:
        """Take nothing larger than a message with a token until one is given."""
        if self._wire is not None:
            self._wire.expect_token()

    def admit(self, account: Account) -> None:
        """Note that a valid token was given, whose `account` pays from now on."""
        if self._wire is not None:
            self._wire.admit(account)

    async def hear(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    def put(self, frame: bytes) -> bool:
        return self._wire is not None and self._wire.put(frame)

    async def send(self, frame: bytes) -> None:
        if self._wire is not None:
            while not self._wire.put(frame):
                await self._wire.drain()
            return
        try:
            await self._socket.send({"type": "websocket.send", "text": frame.decode()})
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise Gone from error

    def hold(self, size: int) -> None:
        if self._wire is not None:
            self._wire.hold(size)

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._socket.close(code, reason)

    def cut(self, code: int, reason: str) -> None:
        if self._wire is not None:
            self._wire.cut(code, reason)
