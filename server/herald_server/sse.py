"""The event stream: one subscription over plain HTTP, for `curl` and `fetch`.

The same session as a WebSocket's, pumped the same way; only how frames travel
differs. An event is named after its frame's type, and its `id` is the cursor, so
that whoever comes back with `Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from herald_monitor.model.changes import TASK
from herald_server import frames
from herald_server.auth import Narrow
from herald_server.crowd import Crowd
from herald_server.http_auth import demand
from herald_server.limits import MEND_FIRST, NORMAL
from herald_server.line import WIRE, Cuttable, Gone
from herald_server.problems import Problem
from herald_server.pump import TOKEN_FULL, Door, Pump
from herald_server.query import STREAM_ID, stream_wish

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # nginx gathers answers unless it is told not to.
    (b"x-accel-buffering", b"no"),
]
LATER = 5
"""Seconds after which a stream may be asked for again."""

RETRY = b"retry: 1000\n\n"
COMMENT = b": still here\n\n"


class Streams(Crowd):
    """The route of the event stream, an ASGI application, and its open streams."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until either side ends it. Raises `Problem`, `BadInput`."""
        who = demand(scope, "read")
        last = Headers(scope=scope).get("last-event-id")
        wish = stream_wish(QueryParams(scope["query_string"]), last)
        if who.only is not None and wish.topic != TASK:
            raise Narrow("another topic than tasks")
        line = _Stream(scope, receive, send, self._door.patience.heartbeat)
        if scope["method"] == "HEAD":
            await line.close(NORMAL, "")
            return
        if self._door.full:
            later = {"Retry-After": str(LATER)}
            raise Problem(503, "as many connections as may be; come back later", later)
        if self._door.is_full_for(self._door.accounts.by_token(who)):
            raise Problem(503, TOKEN_FULL, {"Retry-After": str(LATER)})
        pump = Pump(self._door, line)
        with self.joined(pump):
            await pump.follow(wish)


class _Head(msgspec.Struct):
    """Of a frame, what its event is made from."""

    type: str
    cursor: str | None = None
    reset: str | None = None
    reconnect_in_ms: int | None = None


_head = msgspec.json.Decoder(_Head)


def event(frame: bytes) -> bytes:
    """Return `frame` as an event. Frames hold no line breaks: JSON escapes them."""
    head = _head.decode(frame)
    parts = [b"event: ", head.type.encode(), b"\n"]
    if head.cursor is not None:
        parts += [b"id: ", head.cursor.encode(), b"\n"]
    elif head.reset:
        # Voids the cursor: who comes back before the next one begins anew.
        parts.append(b"id:\n")
    if head.reconnect_in_ms is not None:
        parts.append(b"retry: %d\n" % head.reconnect_in_ms)
    return b"".join([*parts, b"data: ", frame, b"\n\n"])


class _Stream:
    """A `Line` over an HTTP answer. Its client says nothing after its request."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, heartbeat: float
    ) -> None:
        self._wire: Cuttable | None = scope.get("extensions", {}).get(WIRE)
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat
        self._begun = False
        self._quiet = True

    async def hear(self) -> str | bytes:
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    message = await self._receive()
            except TimeoutError:
                await self._assure()
                continue
            if message["type"] == "http.disconnect":
                raise Gone

    async def _assure(self) -> None:
        """Say something, so that nobody between us takes the line for dead."""
        if self._quiet and self._begun:
            await self._write(COMMENT)
        self._quiet = True

    def put(self, frame: bytes) -> bool:
        return False

    async def send(self, frame: bytes) -> None:
        await self._begin()
        self._quiet = False
        await self._write(event(frame))

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        start = {"type": "http.response.start", "status": 200, "headers": HEADERS}
        await self._pass(start)
        await self._write(RETRY)

    async def _write(self, body: bytes, more: bool = True) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": more}
        await self._pass(message)

    async def _pass(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        await self._begin()
        last = b"" if code == NORMAL else event(_ending(code, reason))
        await self._write(last, more=False)

    def hold(self, size: int) -> None:
        if self._wire is not None:
            self._wire.hold(size)

    def cut(self, code: int, reason: str) -> None:
        if self._wire is not None:
            self._wire.cut(code, reason)


def _ending(code: int, reason: str) -> bytes:
    """Return the frame for what a close code tells over a WebSocket."""
    return frames.other(
        "error",
        id=STREAM_ID,
        code="closed",
        close=code,
        message=reason,
        retry=code < MEND_FIRST,
    )
