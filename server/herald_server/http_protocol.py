"""Uvicorn's HTTP, with a way to end an answer whose client reads nothing."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from herald_server.connection_guard import ConnectionGuard
from herald_server.cpu_budget import Account
from herald_server.line import WIRE
from herald_server.parse_budget import ParseBudget, read_little


class CuttableHttp(H11Protocol):
    """A connection whose answers can be cut off by the application.

    Ending an answer the usual way waits until all that was sent is taken, for
    ever if need be. `guard` aborts what its client does not read.
    """

    guard: ConnectionGuard

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.budget = ParseBudget()
        self._inner: Any = self.app
        self.app = cast(Any, self._with_cut)

    async def _with_cut(self, scope: dict[str, Any], *ways: Any) -> None:
        extensions = {**scope.get("extensions", {}), WIRE: self}
        await self._inner({**scope, "extensions": extensions}, *ways)

    def connection_made(self, transport: Any) -> None:
        """Serve a connection, unless it is one too many."""
        super().connection_made(transport)
        read_little(transport)
        address = self.client[0] if self.client else ""
        self.budget.account = self.guard.payer(address)
        if self.guard.add(transport, address, self.loop.time()):
            self.guard.start(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection that its client or the network ended."""
        self.guard.drop(self.transport)
        super().connection_lost(exc)

    def admit(self, account: Account) -> None:
        """Note that a valid token was given, whose `account` pays from now on."""
        self.guard.admit(self.transport)
        self.budget.account = account

    def cut(self, code: int, reason: str) -> None:
        """End the connection at once."""
        # HTTP has no word for it once an answer has begun.
        self.transport.abort()
