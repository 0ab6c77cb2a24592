"""Transports of a session's frames: a WebSocket, an event stream, or that of a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from herald_server.auth.quotas.cpu_budget import Account

EXTENSION = "herald.wire"
"""The ASGI extension that is the connection itself, a `Abortable` or a `Wire`."""


class TransportClosed(Exception):
    """The client has disconnected."""


class Transport(Protocol):
    """Connection that carries frames. Every method but `abort` raises
    `TransportClosed`."""

    async def receive(self) -> str | bytes:
        """Return the client's next frame."""
        ...

    def try_send(self, frame: bytes, /) -> bool:
        """Send a frame if that does not block; return True if it was sent."""
        ...

    async def send(self, frame: bytes) -> None:
        """Send a frame; wait until the client reads."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection with a reason."""
        ...

    def hold(self, size: int) -> None:
        """Record that frames of `size` bytes wait to be sent."""
        ...

    def abort(self, code: int, reason: str) -> None:
        """Abort the connection without waiting."""
        ...


class Abortable(Protocol):
    """Operations that this server offers to applications on any
    connection, beyond ASGI."""

    def abort(self, code: int, reason: str) -> None:
        """Do as `Line.cut`."""
        ...

    def admit(self, account: Account) -> None:
        """Record that a valid token was given; `account` is charged from now on."""
        ...

    def count_for(self, account: Account) -> None:
        """Count unread bytes for `account`."""
        ...

    def hold(self, size: int) -> None:
        """Do as `Line.hold`."""
        ...


class DirectWebSocket(Abortable, Protocol):
    """The same for a WebSocket."""

    def try_send(self, frame: bytes, /) -> bool:
        """Do as `Line.put`."""
        ...

    async def drain(self) -> None:
        """Wait until `try_send` may send something, or raise `TransportClosed`."""
        ...

    def release_handshake(self) -> None:
        """Release data that only the handshake needed."""
        ...

    def continue_with(self, work: Callable[[], Awaitable[None]]) -> None:
        """Serve the connection by `work` alone once the application has returned."""
        ...

    async def receive(self) -> Any:
        """Return the next ASGI message."""
        ...

    async def send(self, message: Any) -> None:
        """Send an ASGI message."""
        ...

    def expect_token(self) -> None:
        """Accept only a message small enough for a token until one is given."""
        ...
