"""Uvicorn's WebSocket, with short cuts for an application that writes a great deal."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from herald_server import limits
from herald_server.connection_guard import ConnectionGuard
from herald_server.cpu_budget import Account
from herald_server.line import WIRE, Gone
from herald_server.parse_budget import ParseBudget, slices
from herald_server.unread import Unread

LINGER = 5.0
"""Seconds in which a client may still read why it was cut off."""

MAX_FRAGMENTS = 1_000
"""Frames of which a message may consist."""

TOKEN_MESSAGE_BYTES = 10_240
"""Bytes of a message from who is yet to send a token, which has 8,192 characters at
most. Of a thousand such clients, each could have a quarter of a megabyte kept."""

REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b"
)

TEXT = 0x81
"""Of a frame: that it is text, and whole."""


class CuttableProtocol(WebSocketsSansIOProtocol):
    """A connection that the application can write to directly, and cut off.

    Closing it the usual way waits until all that was sent is taken, for ever if
    need be, and keeps all that in memory. Sending the usual way goes through three
    libraries, each of which takes the text apart. `guard` aborts what its client
    does not read.
    """

    guard: ConnectionGuard
    waiting: Unread
    """What waits for its client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = cast(Any, Inbox(self.loop))
        self._budget = ParseBudget()

    def connection_made(self, transport: Any) -> None:
        """Take over a connection on which a handshake came."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._budget.account = self.guard.payer(address)
        self.waiting = self.guard.waiting(transport)
        self.waiting.cut = self.cut

    def data_received(self, data: bytes) -> None:
        """Take in frames, a little at a time; cut off who takes too long to parse."""
        for part in slices(data):
            if self.transport.is_closing():
                return
            if not self._budget.spend(self._parse, part, self.loop.time()):
                self.guard.tally.refuse("parsing")
                self.cut(limits.RATE, "too much to parse; send less")
                self.transport.pause_reading()
                return
        self._budget.rest(self.loop, self.transport, self._is_paused)

    def _is_paused(self) -> bool:
        return self.read_paused or not self.writable.is_set()

    def _parse(self, data: bytes) -> None:
        """Take in frames; answer a handshake that the parser refuses."""
        super().data_received(data)
        # The parser has no answer of its own to a request with a body, with too
        # many headers or with one that is too long.
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            said = f"the WebSocket handshake is refused: {self.conn.handshake_exc}\n"
            text = said.encode("utf-8", "replace")
            self.transport.write(REFUSAL % (len(text), text))
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Close a connection whose frames make no sense, or came too early."""
        if self.conn.close_sent is None:
            # Before the handshake was answered there is no word for it.
            self.transport.abort()
            return
        super().handle_parser_exception()

    def send_500_response(self) -> None:
        """Refuse a handshake, if there is one to be answered still."""
        if self.conn.state is State.CONNECTING and not self.conn.eof_sent:
            super().send_500_response()

    def handle_cont(self, event: Frame) -> None:
        """Take in a further frame of a message, of which there may be so many."""
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.frames = []
            self.cut(
                CloseCode.MESSAGE_TOO_BIG, f"a message of over {MAX_FRAGMENTS} frames"
            )

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message; a text that is no UTF-8 ends the connection."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.frames = []
            self.cut(CloseCode.INVALID_DATA, "a text message must be UTF-8")
            return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping; hear nothing more of a client that takes no answers."""
        super().handle_ping()
        if not self.writable.is_set():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on telling, and hearing, a client that takes what was sent."""
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection that its client or the network ended."""
        self.guard.drop(self.transport)
        super().connection_lost(exc)

    def expect_token(self) -> None:
        """Take nothing larger than a message with a token until one is given."""
        self._take_up_to(TOKEN_MESSAGE_BYTES)

    def admit(self, account: Account) -> None:
        """Note that a valid token was given, whose `account` pays from now on."""
        self.guard.admit(self.transport)
        self._budget.account = account
        self._take_up_to(self.config.ws_max_size)
        self.count_for(account)

    def count_for(self, account: Account) -> None:
        """Count what is sent, and not read, for `account`."""
        self.waiting.count_for(account.backlog)

    def hold(self, size: int) -> None:
        """Note that `size` bytes are to be sent that are not taken yet."""
        self.waiting.hold(size)

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        await super().send(message)
        self.waiting.wrote()

    def _take_up_to(self, size: int) -> None:
        conn: Any = self.conn
        # Its name before websockets 16.
        former = not hasattr(conn, "max_message_size")
        setattr(conn, "max_size" if former else "max_message_size", size)

    async def run_asgi(self) -> None:
        """Serve the connection; the application finds us among its extensions."""
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"][WIRE] = self
        await super().run_asgi()

    def put(self, frame: bytes) -> bool:
        """Send a text if the client takes what there is; say whether it was sent.

        Raises `Gone`.
        """
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise Gone
        if not self.writable.is_set():
            return False
        self.transport.write(_head(len(frame)) + frame)
        self.waiting.wrote()
        return True

    async def drain(self) -> None:
        """Wait until the client has taken most of what there is, or is gone."""
        await self.writable.wait()

    def settle(self) -> None:
        """Forget what only the handshake needed: a tenth of what we keep."""
        for message in (self.request, self.response):
            # The parser goes on holding them.
            message.headers.clear()
        cast(list[Any], self.scope["headers"]).clear()

    def cut(self, code: int, reason: str) -> None:
        """End the connection with `code`; let go of it a moment later in any case."""
        told = self.close_sent or self.transport.is_closing()
        if not told and self.conn.state is State.OPEN:
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.stop_keepalive()
        self.loop.call_later(LINGER, self.transport.abort)


class Inbox:
    """What arrived and was not taken yet, of one who takes: a small asyncio.Queue.

    A real one is 3 KB, more than a tenth of a connection.
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
        """Wait for the oldest and return it."""
        while not self._some:
            self._waiter = self._loop.create_future()
            await self._waiter
        self._waiter = None
        return self._some.pop(0)

    def empty(self) -> bool:
        """Say whether all was taken."""
        return not self._some


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _head(size: int) -> bytes:
    """Return what stands before a text of `size` bytes (RFC 6455, section 5.2)."""
    if size < 126:
        return bytes((TEXT, size))
    if size < 1 << 16:
        return bytes((TEXT, 126, size >> 8, size & 255))
    return bytes((TEXT, 127)) + size.to_bytes(8, "big")
