"""The WebSocket door: handshakes, and what a session's frames travel over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from herald_server import frames
from herald_server.auth import PROTOCOL, bearer, protocol_token
from herald_server.crowd import Crowd
from herald_server.limits import BAD_PROTOCOL
from herald_server.pump import CUT, Door, Gone, Pump

CLOSE_WITHIN = 1.0


class Sockets(Crowd):
    """The WebSocket route, and the connections that are open."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side ends it."""
        offered: list[str] = socket.scope.get("subprotocols", [])
        wire = _Wire(socket)
        if offered and frames.NAME not in offered:
            await socket.accept()
            await wire.close(BAD_PROTOCOL, f"speak {frames.NAME}")
            return
        # Only our own name is echoed: the other protocol is the token.
        await socket.accept(frames.NAME if offered else None)
        token = bearer(socket.headers.get("authorization")) or protocol_token(offered)
        sent = token is not None or any(p.startswith(PROTOCOL) for p in offered)
        pump = Pump(self._door, wire)
        with self.joined(pump):
            await pump.run(token, sent)


class _Wire:
    """A `Line` over a WebSocket of Starlette's."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def hear(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send({"type": "websocket.send", "text": frame.decode()})
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._socket.close(code, reason)

    def cut(self, code: int, reason: str) -> None:
        extension: dict[str, Any] = self._socket.scope.get("extensions", {})
        cut = extension.get(CUT)
        if cut is not None:
            cast(Callable[[int, str], None], cut["cut"])(code, reason)
