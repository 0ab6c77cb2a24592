"""Uvicorn's HTTP protocol with a request timeout and an abort of unread responses.

A client has `timeout` seconds from the start of a connection, or from the first byte
of a later request on it, until its request has arrived with its body. Then the server
responds 408 and closes. (Between two requests uvicorn waits for 5 s.)

`tests/unit/repository/test_private_names.py` lists what is used of uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.parse_budget import (
    SLICE_BYTES,
    ParseBudget,
    limit_read_size,
)
from herald_server.auth.quotas.unread_bytes import UnreadBytes
from herald_server.push.connection.transport import EXTENSION
from herald_server.wiring.web_server.connection_guard import ConnectionGuard
from herald_server.wiring.web_server.websocket import DirectWebSocketProtocol

RESPONSE_408 = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 44\r\nconnection: close\r\n\r\n"
    b"the request did not arrive whole; send anew\n"
)

RECEIVE_STATES = (h11.IDLE, h11.SEND_BODY)
"""States of a client that has not sent its whole request."""


class GuardedHttpProtocol(H11Protocol):
    """HTTP connection whose requests must arrive in time, and that can be aborted.

    Ending a response normally waits until the client has read it, possibly forever.
    `guard` aborts connections whose client does not read.
    """

    timeout = 15.0
    tally = PushMetrics()
    guard: ConnectionGuard
    unread: UnreadBytes
    """What waits for its client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._budget = ParseBudget()
        self._timer: asyncio.TimerHandle | None = None
        self._is_upgraded = False
        self._inner: Any = self.app
        self.app = cast(Any, self._serve)

    async def _serve(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        extensions = {**scope.get("extensions", {}), EXTENSION: self}

        async def counted(message: Any) -> None:
            await send(message)
            self.unread.on_write()

        await self._inner({**scope, "extensions": extensions}, receive, counted)

    def connection_made(self, transport: Any) -> None:
        """Register the connection, and abort it if the limit is reached."""
        super().connection_made(transport)
        limit_read_size(transport)
        address = self.client[0] if self.client else ""
        self._budget.account = self.guard.find_account(address)
        if self.guard.add(transport, address, self.loop.time(), self.abort):
            self.guard.start(self.loop)
        self.unread = self.guard.get_unread(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a connection that its client or the network closed."""
        self._stop_timer()
        self.guard.remove(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive part of a request, in small slices."""
        for at in range(0, len(data), SLICE_BYTES):
            # Nothing may be sent after an upgrade before it is answered.
            if self._is_upgraded or self.transport.is_closing():
                break
            self._receive(data[at : at + SLICE_BYTES])
        if self.conn.their_state in RECEIVE_STATES and not self._is_upgraded:
            self._start_timer()
        else:
            self._stop_timer()

    def _receive(self, data: bytes) -> None:
        before: Any = self.cycle
        is_in_budget = self._budget.spend(super().data_received, data, self.loop.time())
        if self.cycle is not before or self._is_upgraded:
            # The head of a request is small; quotas limit how many there are.
            return
        if is_in_budget:
            self._budget.pause_reading(self.loop, self.transport, self._is_paused)
        else:
            self.tally.count_refusal("parsing")
            self.transport.abort()

    def _is_paused(self) -> bool:
        return self._is_upgraded or self.flow.read_paused

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._is_upgraded = True
        super().handle_websocket_upgrade(event)

    def admit(self, account: Account) -> None:
        """Record that a valid token was given; `account` is charged from now on."""
        self.guard.admit(self.transport)
        self._budget.account = account
        self.unread.count_for(account.backlog)

    def count_for(self, account: Account) -> None:
        """Count unread bytes of responses for `account`."""
        self.unread.count_for(account.backlog)

    def hold(self, size: int) -> None:
        """Record that `size` bytes wait to be sent."""
        self.unread.hold(size)

    def abort(self, code: int, reason: str) -> None:
        """Abort the connection."""
        # HTTP cannot report it once a response has begun.
        self.transport.abort()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self.conn.their_state not in RECEIVE_STATES:
            return
        self.tally.count_refusal("slow")
        cycle: Any = self.cycle
        waits = bool(cycle and not cycle.response_complete)
        if not (waits and cycle.response_started):
            self.transport.write(RESPONSE_408)
        if waits:
            # The application receives the end of the body here.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def make_protocols(
    request_timeout: float, counted: PushMetrics, watching: ConnectionGuard
) -> tuple[type[GuardedHttpProtocol], type[DirectWebSocketProtocol]]:
    """Return the protocol classes for HTTP and WebSocket.

    A request must arrive within `request_timeout` seconds; `watching` limits the
    connections.
    """

    class Http(GuardedHttpProtocol):
        timeout = request_timeout
        tally = counted
        guard = watching

    class WebSocket(DirectWebSocketProtocol):
        guard = watching

    return Http, WebSocket
