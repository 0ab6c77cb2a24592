"""The event stream: one subscription over plain HTTP, for `curl` and `fetch`.

It uses the same session as a WebSocket; only the transport differs. An event has the
name of its frame's type, and its `id` is the cursor, so a client that reconnects with
`Last-Event-ID` resumes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from herald_core.model.changes import TASK
from herald_server.api.http.problems import Problem
from herald_server.api.http.query import STREAM_SUB_ID, parse_stream_query
from herald_server.api.http.route_scopes import require_scope
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.auth.quotas.close_codes import FIRST_FATAL_CLOSE_CODE, NORMAL
from herald_server.push.connection.connection import (
    TOKEN_FULL_MESSAGE,
    Connection,
    PushContext,
)
from herald_server.push.connection.registry import ConnectionRegistry
from herald_server.push.connection.transport import (
    EXTENSION,
    Abortable,
    TransportClosed,
)
from herald_server.push.protocol import frames

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # nginx buffers responses without this header.
    (b"x-accel-buffering", b"no"),
]
RETRY_AFTER_S = 5
"""Seconds after which a client may request a stream again."""

RETRY_FIELD = b"retry: 1000\n\n"
HEARTBEAT_COMMENT = b": still here\n\n"


class SseEndpoint(ConnectionRegistry):
    """The route of the event stream, an ASGI application, and its open streams."""

    def __init__(self, door: PushContext) -> None:
        super().__init__()
        self._context = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until either side ends it.

        Raises `Problem`, `InvalidInput`.
        """
        who = require_scope(scope, "read")
        last = Headers(scope=scope).get("last-event-id")
        wish = parse_stream_query(QueryParams(scope["query_string"]), last)
        if who.task_filter is not None and wish.topic != TASK:
            raise ScopedTokenRefused("another topic than tasks")
        line = _SseTransport(scope, receive, send, self._context.timeouts.heartbeat)
        if scope["method"] == "HEAD":
            await line.close(NORMAL, "")
            return
        if self._context.is_full:
            later = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(503, "as many connections as may be; come back later", later)
        if self._context.is_full_for(self._context.accounts.for_identity(who)):
            raise Problem(503, TOKEN_FULL_MESSAGE, {"Retry-After": str(RETRY_AFTER_S)})
        pump = Connection(self._context, line)
        with self.register(pump):
            await pump.follow(wish)


class _FrameHead(msgspec.Struct):
    """The fields of a frame that determine its event."""

    type: str
    cursor: str | None = None
    reset: str | None = None
    reconnect_in_ms: int | None = None


_decode_head = msgspec.json.Decoder(_FrameHead)


def encode_event(frame: bytes) -> bytes:
    """Return `frame` as an event. Frames contain no line breaks: JSON escapes them."""
    head = _decode_head.decode(frame)
    parts = [b"event: ", head.type.encode(), b"\n"]
    if head.cursor is not None:
        parts += [b"id: ", head.cursor.encode(), b"\n"]
    elif head.reset:
        # Invalidates the cursor: a client that reconnects before the next one starts
        # over.
        parts.append(b"id:\n")
    if head.reconnect_in_ms is not None:
        parts.append(b"retry: %d\n" % head.reconnect_in_ms)
    return b"".join([*parts, b"data: ", frame, b"\n\n"])


class _SseTransport:
    """A `Line` over an HTTP response. Its client sends nothing after its request."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, heartbeat: float
    ) -> None:
        self._extension: Abortable | None = scope.get("extensions", {}).get(EXTENSION)
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat
        self._is_started = False
        self._is_quiet = True

    async def receive(self) -> str | bytes:
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    message = await self._receive()
            except TimeoutError:
                await self._send_heartbeats()
                continue
            if message["type"] == "http.disconnect":
                raise TransportClosed

    async def _send_heartbeats(self) -> None:
        """Send a comment, so that no proxy closes an idle stream."""
        if self._is_quiet and self._is_started:
            await self._write(HEARTBEAT_COMMENT)
        self._is_quiet = True

    def try_send(self, frame: bytes) -> bool:
        return False

    async def send(self, frame: bytes) -> None:
        await self._begin()
        self._is_quiet = False
        await self._write(encode_event(frame))

    async def _begin(self) -> None:
        if self._is_started:
            return
        self._is_started = True
        start = {"type": "http.response.start", "status": 200, "headers": HEADERS}
        await self._send_message(start)
        await self._write(RETRY_FIELD)

    async def _write(self, body: bytes, more: bool = True) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": more}
        await self._send_message(message)

    async def _send_message(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise TransportClosed from error

    async def close(self, code: int, reason: str) -> None:
        await self._begin()
        last = b"" if code == NORMAL else encode_event(_encode_end(code, reason))
        await self._write(last, more=False)

    def hold(self, size: int) -> None:
        if self._extension is not None:
            self._extension.hold(size)

    def abort(self, code: int, reason: str) -> None:
        if self._extension is not None:
            self._extension.abort(code, reason)


def _encode_end(code: int, reason: str) -> bytes:
    """Return the frame that corresponds to the close code of a WebSocket."""
    return frames.encode_control(
        "error",
        id=STREAM_SUB_ID,
        code="closed",
        close=code,
        message=reason,
        retry=code < FIRST_FATAL_CLOSE_CODE,
    )
