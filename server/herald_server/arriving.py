"""Requests that never arrive whole are given up: slow senders hold no connection.

A client has `patience` seconds from the first moment of a connection, or from the
first byte of a later request on it, until its request is here with its body. Then
it is answered 408 and hung up on. (Between two requests uvicorn waits for 5 s.)
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11

from herald_server.connection_guard import ConnectionGuard
from herald_server.http_protocol import CuttableHttp
from herald_server.limits import Tally
from herald_server.parse_budget import slices
from herald_server.ws_protocol import CuttableProtocol

LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 44\r\nconnection: close\r\n\r\n"
    b"the request did not arrive whole; send anew\n"
)

ARRIVING = (h11.IDLE, h11.SEND_BODY)
"""States of a client of which more is to come."""


class TimelyHttp(CuttableHttp):
    """A connection whose requests must arrive in time."""

    patience = 15.0
    tally = Tally()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._due: asyncio.TimerHandle | None = None
        self._handed_over = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request, a little at a time."""
        for part in slices(data):
            # Nothing may be sent after an upgrade before it is answered.
            if self._handed_over or self.transport.is_closing():
                break
            self._take(part)
        if self.conn.their_state in ARRIVING and not self._handed_over:
            self._wait()
        else:
            self._stop()

    def _take(self, data: bytes) -> None:
        before: Any = self.cycle
        within = self.budget.spend(self._parse, data, self.loop.time())
        # What begins a request is small; how many there are is for others to bound.
        if not within and self.cycle is before and not self._handed_over:
            self.tally.refuse("parsing")
            self.transport.abort()
        elif self.cycle is before and not self._handed_over:
            self.budget.rest(self.loop, self.transport, self._is_paused)

    def _is_paused(self) -> bool:
        return self._handed_over or self.flow.read_paused

    def _parse(self, data: bytes) -> None:
        super().data_received(data)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over; from here on it is no request any more."""
        self._handed_over = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self.patience, self._late)

    def _stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _late(self) -> None:
        self._due = None
        if self.transport.is_closing() or self.conn.their_state not in ARRIVING:
            return
        self.tally.refuse("slow")
        cycle: Any = self.cycle
        waits = bool(cycle and not cycle.response_complete)
        if not (waits and cycle.response_started):
            self.transport.write(LATE)
        if waits:
            # Whoever reads the body learns that no more of it comes.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def timely(
    seconds: float, counted: Tally, watching: ConnectionGuard
) -> tuple[type[TimelyHttp], type[CuttableProtocol]]:
    """Return the protocols of a server, HTTP and WebSocket.

    A request must arrive within `seconds`; `watching` bounds the connections.
    """

    class Timely(TimelyHttp):
        patience = seconds
        tally = counted
        guard = watching

    class Watched(CuttableProtocol):
        guard = watching

    return Timely, Watched
