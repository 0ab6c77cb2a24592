"""What carries a session's frames: a WebSocket, an event stream, or a test's own."""

from __future__ import annotations

from typing import Protocol

from herald_server.cpu_budget import Account

WIRE = "herald.wire"
"""The ASGI extension that is the connection itself, a `Cuttable` or a `Wire`."""


class Gone(Exception):
    """The other side is gone, or does not listen."""


class Line(Protocol):
    """A connection that carries frames. Every method but `cut` raises `Gone`."""

    async def hear(self) -> str | bytes:
        """Return the next frame of the client."""
        ...

    def put(self, frame: bytes) -> bool:
        """Send a frame if that needs no waiting; say whether it was sent."""
        ...

    async def send(self, frame: bytes) -> None:
        """Send a frame; wait while the client takes none."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End it, telling why."""
        ...

    def hold(self, size: int) -> None:
        """Note that frames of `size` bytes wait until the client takes some."""
        ...

    def cut(self, code: int, reason: str) -> None:
        """End it without waiting for anything."""
        ...


class Cuttable(Protocol):
    """What our server lets an application do with any connection, beside ASGI."""

    def cut(self, code: int, reason: str) -> None:
        """Do as `Line.cut`."""
        ...

    def admit(self, account: Account) -> None:
        """Note that a valid token was given, whose `account` pays from now on."""
        ...

    def count_for(self, account: Account) -> None:
        """Count what is sent, and not read, for `account`."""
        ...

    def hold(self, size: int) -> None:
        """Do as `Line.hold`."""
        ...


class Wire(Cuttable, Protocol):
    """What it lets one do with a WebSocket."""

    def put(self, frame: bytes) -> bool:
        """Do as `Line.put`."""
        ...

    async def drain(self) -> None:
        """Wait until `put` may send something, or raise `Gone`."""
        ...

    def settle(self) -> None:
        """Forget what only the handshake needed."""
        ...

    def expect_token(self) -> None:
        """Take nothing larger than a message with a token until one is given."""
        ...
