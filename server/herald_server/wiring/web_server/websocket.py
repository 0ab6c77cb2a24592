"""Uvicorn's WebSocket protocol with a direct write path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from herald_server.auth.quotas import close_codes
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.parse_budget import SLICE_BYTES, ParseBudget
from herald_server.auth.quotas.unread_bytes import UnreadBytes
from herald_server.push.connection.transport import EXTENSION, TransportClosed
from herald_server.wiring.web_server.connection_guard import ConnectionGuard

LINGER_S = 5.0
"""Seconds in which a client can still read why its connection ended."""

MAX_FRAGMENTS = 1_000
"""Maximum number of frames of a message."""

TOKEN_MESSAGE_BYTES = 10_240
"""Bytes of a message of a client that has not sent a token, which has at most 8,192
characters. A thousand such clients could use a quarter of a megabyte each."""

RESPONSE_400 = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b"
)

TEXT_FRAME_BYTE = 0x81
"""Of a frame: that it is text, and whole."""


class DirectWebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket connection that the application can write to directly, and abort.

    Closing it normally waits until the client has read all data, possibly forever, and
    keeps that data in memory. Sending normally passes through three libraries, each of
    which processes the text. `guard` aborts connections whose client does not read.
    """

    guard: ConnectionGuard
    unread: UnreadBytes
    """What waits for its client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = cast(Any, SingleConsumerQueue(self.loop))
        self.writable = cast(Any, SmallEvent(self.loop))
        self.writable.set()
        self._budget = ParseBudget()
        self.app = self._run_app
        self._work: Callable[[], Awaitable[None]] | None = None

    def connection_made(self, transport: Any) -> None:
        """Take over a connection with a handshake."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._budget.account = self.guard.find_account(address)
        self.unread = self.guard.get_unread(transport)
        self.unread.abort = self.abort

    def data_received(self, data: bytes) -> None:
        """Parse frames in small slices; close a connection that takes
        too long to parse."""
        for at in range(0, len(data), SLICE_BYTES):
            part = data[at : at + SLICE_BYTES]
            if self.transport.is_closing():
                return
            if not self._budget.spend(self._parse, part, self.loop.time()):
                self.guard.metrics.count_refusal("parsing")
                self.abort(close_codes.RATE_LIMITED, "too much to parse; send less")
                self.transport.pause_reading()
                return
        self._budget.pause_reading(self.loop, self.transport, self._is_paused)

    def _is_paused(self) -> bool:
        return self.read_paused or not self.writable.is_set()

    def _parse(self, data: bytes) -> None:
        """Parse frames; respond to a handshake that the parser refuses."""
        super().data_received(data)
        # The parser has no answer of its own to a request with a body, with too
        # many headers or with one that is too long.
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            message = f"the WebSocket handshake is refused: {self.conn.handshake_exc}\n"
            text = message.encode("utf-8", "replace")
            self.transport.write(RESPONSE_400 % (len(text), text))
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Close a connection with invalid or early frames."""
        if self.conn.close_sent is None:
            # Before the response to the handshake, a close cannot be sent.
            self.transport.abort()
            return
        super().handle_parser_exception()

    def send_500_response(self) -> None:
        """Refuse a handshake that is still unanswered."""
        if self.conn.state is State.CONNECTING and not self.conn.eof_sent:
            super().send_500_response()

    def handle_cont(self, event: Frame) -> None:
        """Process a further frame of a message, up to a limit."""
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.frames = []
            self.abort(
                CloseCode.MESSAGE_TOO_BIG, f"a message of over {MAX_FRAGMENTS} frames"
            )

    def send_receive_event_to_app(self) -> None:
        """Pass on a complete message; a text that is not UTF-8 ends the connection."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.frames = []
            self.abort(CloseCode.INVALID_DATA, "a text message must be UTF-8")
            return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping; stop reading from a client that does not read."""
        super().handle_ping()
        if not self.writable.is_set():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume sending and reading once the client reads."""
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a connection that its client or the network closed."""
        self.guard.remove(self.transport)
        super().connection_lost(exc)

    def expect_token(self) -> None:
        """Accept only a message small enough for a token until one is given."""
        self._take_up_to(TOKEN_MESSAGE_BYTES)

    def admit(self, account: Account) -> None:
        """Record that a valid token was given; `account` is charged from now on."""
        self.guard.admit(self.transport)
        self._budget.account = account
        self._take_up_to(self.config.ws_max_size)
        self.count_for(account)

    def count_for(self, account: Account) -> None:
        """Count unread bytes for `account`."""
        self.unread.count_for(account.backlog)

    def hold(self, size: int) -> None:
        """Record that `size` bytes wait to be sent."""
        self.unread.hold(size)

    async def send(self, message: Any) -> None:
        """Send a message of the application."""
        await super().send(message)
        self.unread.on_write()

    def _take_up_to(self, size: int) -> None:
        conn: Any = self.conn
        # Its name before websockets 16.
        former = not hasattr(conn, "max_message_size")
        setattr(conn, "max_size" if former else "max_message_size", size)

    async def run_asgi(self) -> None:
        """Serve the connection; it is among the extensions of the ASGI scope."""
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"][EXTENSION] = self
        await super().run_asgi()

    async def _run_app(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application, and then what it has left to `continue_with`."""
        await self.config.loaded_app(scope, receive, send)
        work, self._work = self._work, None
        if work is not None:
            # Nothing of the handshake is referenced meanwhile.
            del scope, receive, send
            self.scope = cast(Any, {})
            await work()

    def continue_with(self, work: Callable[[], Awaitable[None]]) -> None:
        """Serve the connection by `work` alone once the application has returned.

        The coroutines of its middlewares would be a third of a connection.
        """
        self._work = work

    def try_send(self, frame: bytes) -> bool:
        """Send a text if the client reads; return True if it was sent.

        Raises `TransportClosed`.
        """
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise TransportClosed
        if not self.writable.is_set():
            return False
        size = len(frame)
        # RFC 6455, section 5.2: what stands before a text that is sent whole.
        if size < 126:
            head = bytes((TEXT_FRAME_BYTE, size))
        elif size < 1 << 16:
            head = bytes((TEXT_FRAME_BYTE, 126, size >> 8, size & 255))
        else:
            head = bytes((TEXT_FRAME_BYTE, 127)) + size.to_bytes(8, "big")
        self.transport.write(head + frame)
        self.unread.on_write()
        return True

    async def drain(self) -> None:
        """Wait until most data was read, or the client has disconnected."""
        await self.writable.wait()

    def release_handshake(self) -> None:
        """Release data that only the handshake needed: a tenth of a connection."""
        for message in (self.request, self.response):
            # The parser still refers to them.
            message.headers.clear()
        cast(list[Any], self.scope["headers"]).clear()

    def abort(self, code: int, reason: str) -> None:
        """Close the connection with `code`; abort it a moment later in any case."""
        is_closing = self.close_sent or self.transport.is_closing()
        if not is_closing and self.conn.state is State.OPEN:
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.stop_keepalive()
        self.loop.call_later(LINGER_S, self.transport.abort)


class SingleConsumerQueue:
    """Single-consumer queue; smaller than asyncio.Queue.

    An asyncio.Queue takes 3 KB, more than a tenth of a connection.
    """

    __slots__ = ("_loop", "_some", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._some: list[Any] = []
        self._waiter: asyncio.Future[None] | None = None

    def put_nowait(self, one: Any) -> None:
        """Add `one`."""
        self._some.append(one)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> Any:
        """Wait for the oldest item and return it."""
        while not self._some:
            self._waiter = self._loop.create_future()
            await self._waiter
        self._waiter = None
        return self._some.pop(0)

    def empty(self) -> bool:
        """Return True if it has no items."""
        return not self._some


class SmallEvent:
    """An event; smaller than asyncio.Event.

    An asyncio.Event takes 0.8 KB for those that wait, and nearly always none does.
    """

    __slots__ = ("_is_set", "_loop", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = False
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return True if it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all that wait."""
        self._is_set = True
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let `wait` wait from now on."""
        self._is_set = False

    async def wait(self) -> None:
        """Return once it was set."""
        if not self._is_set:
            waiter = self._loop.create_future()
            self._waiters = (*self._waiters, waiter)
            await waiter


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
