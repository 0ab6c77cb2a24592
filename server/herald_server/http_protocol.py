"""Uvicorn's HTTP, with a way to end an answer whose client reads nothing."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from herald_server.connection_guard import ConnectionGuard
from herald_server.cpu_budget import Account
from herald_server.line import WIRE
from herald_server.parse_budget import ParseBudget, read_little
from herald_server.unread import Unread


class CuttableHttp(H11Protocol):
    """A connection whose answers can be cut off by the application.

    Ending an answer the usual way waits until all that was sent is taken, for
    ever if need be. `guard` aborts what its client does not read.
    """

    guard: ConnectionGuard
    waiting: Unread
    """What waits for its client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.budget = ParseBudget()
        self._inner: Any = self.app
        self.app = cast(Any, self._with_cut)

    async def _with_cut(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        extensions = {**scope.get("extensions", {}), WIRE: self}

        async def counted(message: Any) -> None:
            await send(message)
            self.waiting.wrote()

        await self._inner({**scope, "extensions": extensions}, receive, counted)

    def connection_made(self, transport: Any) -> None:
        """Serve a connection, unless it is one too many."""
        super().connection_made(transport)
        read_little(transport)
        address = self.client[0] if self.client else ""
        self.budget.account = self.guard.payer(address)
        if self.guard.add(transport, address, self.loop.time(), self.cut):
            self.guard.start(self.loop)
        self.waiting = self.guard.waiting(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection that its client or the network ended."""
        self.guard.drop(self.transport)
        super().connection_lost(exc)

    def admit(self, account: Account) -> None:
        """Note that a valid token was given, whose `account` pays from now on."""
        self.guard.admit(self.transport)
        self.budget.account = account

    def count_for(self, account: Account) -> None:
        """Count what is answered, and not read, for `account`."""
        self.waiting.count_for(account.backlog)

    def hold(self, size: int) -> None:
        """Note that `size` bytes are to be sent that are not taken yet."""
        self.waiting.hold(size)

    def cut(self, code: int, reason: str) -> None:
        """End the connection at once."""
        # HTTP has no word for it once an answer has begun.
        self.transport.abort()
