"""The WebSocket door: pumps a session between a socket, the hub and the store."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from herald_monitor.errors import StoreError
from herald_server import frames, session
from herald_server.auth import PROTOCOL, Identity, Tokens, bearer, protocol_token
from herald_server.hub import Hub
from herald_server.messages import Auth
from herald_server.reading import Library
from herald_server.session import Limits, Session
from herald_server.status import Status

log = logging.getLogger(__name__)

AUTH_WITHIN = 10.0
SEND_WITHIN = 30.0
RESTART = 1012


class Door(msgspec.Struct, frozen=True):
    """What every connection of this process shares."""

    hub: Hub
    library: Library
    tokens: Tokens
    status: Status
    node: str
    limits: Limits = Limits()
    tick: float = 0.05
    """Seconds for which changes are gathered under load."""


class Sockets:
    """The open connections, so that they can be told of a restart."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._open: set[Pump] = set()

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side ends it."""
        offered: list[str] = socket.scope.get("subprotocols", [])
        if offered and frames.NAME not in offered:
            await socket.accept()
            await socket.close(4406, f"speak {frames.NAME}")
            return
        # Only our own name is echoed: the other protocol is the token.
        await socket.accept(frames.NAME if offered else None)
        token = bearer(socket.headers.get("authorization")) or protocol_token(offered)
        sent = token is not None or any(p.startswith(PROTOCOL) for p in offered)
        pump = Pump(self._door, socket)
        self._open.add(pump)
        try:
            await pump.run(token, sent)
        finally:
            self._open.discard(pump)

    def __len__(self) -> int:
        return len(self._open)

    async def restart(self, within: float) -> None:
        """Tell every client to come back, spread over `within` seconds."""
        for pump in list(self._open):
            pump.bye(round(random.uniform(0, within) * 1000))
        deadline = time.monotonic() + 1.0
        while self._open and time.monotonic() < deadline:
            await asyncio.sleep(0.01)


class Pump:
    """One connection."""

    def __init__(self, door: Door, socket: WebSocket) -> None:
        self._door = door
        self._socket = socket
        self._ready = asyncio.Event()
        self._session = Session(door.hub, self._ready.set, door.limits)
        self._flushed = 0.0
        self._bye = False

    async def run(self, token: str | None, sent: bool) -> None:
        """Serve until either side ends it."""
        try:
            if await self._admit(token, sent) is not None:
                self._greet()
                await self._serve()
        except* (WebSocketDisconnect, OSError):
            pass
        finally:
            self._session.end()

    async def _admit(self, token: str | None, sent: bool) -> Identity | None:
        if not sent:
            try:
                async with asyncio.timeout(AUTH_WITHIN):
                    token = await self._first_token()
            except TimeoutError:
                await self._close(session.AUTH_TIMEOUT, "no token within 10 s")
                return None
        who = self._door.tokens.check(token)
        if who is None:
            await self._close(session.UNAUTHENTICATED, "a valid token is needed")
        elif not who.may("read"):
            await self._close(session.FORBIDDEN, "this token may not read")
            return None
        return who

    async def _first_token(self) -> str | None:
        message = await self._socket.receive()
        text = _text(message)
        said = self._session.receive(text, time.monotonic())
        return said.token if isinstance(said, Auth) else None

    def _greet(self) -> None:
        door = self._door
        self._session.say(
            "hello",
            v=frames.VERSION,
            node=door.node,
            heartbeat=round(session.HEARTBEAT),
            tick_ms=round(door.tick * 1000),
            limits=msgspec.to_builtins(door.limits),
        )
        self._session.say("status", **door.status.shown())

    async def _serve(self) -> None:
        stop_telling = self._door.status.tell(self._tell_status)
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(self._hear())
                beating = tasks.create_task(self._beat())
                await self._talk()
                hearing.cancel()
                beating.cancel()
        finally:
            stop_telling()

    def _tell_status(self) -> None:
        self._session.say("status", **self._door.status.shown())

    async def _hear(self) -> None:
        while True:
            message = await self._socket.receive()
            said = self._session.receive(_text(message), time.monotonic())
            if isinstance(said, Auth):
                self._renew(said.token)

    def _renew(self, token: str) -> None:
        who = self._door.tokens.check(token)
        if who is None or not who.may("read"):
            self._session.closing = (session.UNAUTHENTICATED, "this token is not valid")
            self._ready.set()

    async def _beat(self) -> None:
        """Wake the talking side so that a bookmark goes out in quiet times."""
        while True:
            await asyncio.sleep(session.HEARTBEAT)
            self._ready.set()

    async def _talk(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            await self._send(self._session.control())
            await self._read()
            if self._bye:
                return
            if self._session.closing:
                await self._send(self._session.control())
                await self._close(*self._session.closing)
                return
            await self._pace()
            await self._send(self._session.data(time.monotonic()))

    async def _pace(self) -> None:
        """Gather under load; the first change after quiet leaves at once."""
        left = self._flushed + self._door.tick - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        self._flushed = time.monotonic()

    async def _read(self) -> None:
        reads = self._session.reads
        while reads:
            read = reads.popleft()
            if not self._session.wanted(read):
                continue
            try:
                async for _ in self._door.library.serve(self._session, read):
                    await self._send(self._session.control())
            except StoreError as error:
                self._session.fail(read, "store", str(error), retry=True)
            await self._send(self._session.control())

    async def _send(self, out: list[bytes]) -> None:
        for frame in out:
            try:
                async with asyncio.timeout(SEND_WITHIN):
                    await self._socket.send_text(frame.decode())
            except TimeoutError:
                await self._close(session.SLOW, "too slow; reconnect and resume")
                raise WebSocketDisconnect(session.SLOW) from None

    def bye(self, reconnect_in_ms: int) -> None:
        """End this connection for a restart of the server."""
        self._session.say("bye", code=RESTART, reconnect_in_ms=reconnect_in_ms)
        self._session.closing = (RESTART, "the server restarts")
        self._ready.set()

    async def _close(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._socket.close(code, reason)


def _text(message: object) -> str | bytes:
    """Return the text of a received frame; raises `WebSocketDisconnect` at the end."""
    assert isinstance(message, dict)
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    text = message.get("text")
    if text is None:
        text = message.get("bytes") or b""
    assert isinstance(text, str | bytes)
    return text
