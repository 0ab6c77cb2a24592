"""What connections of one process may hold: how many there are, and unread bytes.

Every connection is watched in every state: before its request, during an answer,
as a WebSocket, and while it closes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol

import msgspec

from herald_server.cpu_budget import Account, Accounts
from herald_server.limits import Tally
from herald_server.unread import Cut, Unread, waiting_in

CHECK_EVERY_S = 5.0

STALL_S = 30.0
"""Seconds in which a client must take some of what was sent to it."""

CLOSE_S = 5.0
"""Seconds in which a client must take the rest once the connection is closed."""


class Connection(Protocol):
    """What is watched: an `asyncio.Transport`."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        ...

    def is_closing(self) -> bool:
        """Say whether it was closed."""
        ...

    def abort(self) -> None:
        """Close it at once; what waits is lost."""
        ...


def _cut_nothing(code: int, reason: str) -> None:
    """Do nothing: it is hung up if need be."""


class _State(msgspec.Struct):
    address: str
    waiting: Unread
    known: bool = False
    """Whether a valid token was given."""
    unread: int = 0
    since: float = 0.0
    """When the client last took something; monotonic seconds."""
    closing: bool = False


class ConnectionGuard:
    """The open connections of one process. Times are monotonic seconds.

    At most `max_open` are open at once, and at most `max_unknown` from one address
    that have given no valid token (0: any number). `trusted` are addresses of
    proxies, behind which there are many clients.
    """

    def __init__(
        self,
        max_open: int,
        max_unknown: int,
        trusted: frozenset[str] = frozenset(),
        tally: Tally | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.accounts = accounts or Accounts()
        self._max_open = max_open
        self._max_unknown = max_unknown
        self._trusted = trusted
        self.tally = tally or Tally()
        self._states: dict[Connection, _State] = {}
        self._unknown: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._states)

    def add(
        self, connection: Connection, address: str, now: float, cut: Cut = _cut_nothing
    ) -> bool:
        """Watch `connection`; abort it and return False if it is one too many.

        `cut` ends it, telling its client if that can be.
        """
        if len(self._states) >= self._max_open or self._is_crowded(address):
            self.tally.refuse("connections")
            connection.abort()
            return False
        self._states[connection] = _State(address, Unread(connection, cut), since=now)
        self._unknown[address] += 1
        return True

    def _is_crowded(self, address: str) -> bool:
        if not self._max_unknown or address in self._trusted:
            return False
        return self._unknown[address] >= self._max_unknown

    def waiting(self, connection: Connection) -> Unread:
        """Return what waits for the client of `connection`."""
        state = self._states.get(connection)
        return Unread(connection, _cut_nothing) if state is None else state.waiting

    def admit(self, connection: Connection) -> None:
        """Note that a valid token was given on `connection`."""
        state = self._states.get(connection)
        if state is not None and not state.known:
            state.known = True
            self._forget_unknown(state.address)

    def payer(self, address: str) -> Account | None:
        """Return who pays for what `address` sends until a valid token is given."""
        return None if address in self._trusted else self.accounts.by_address(address)

    def drop(self, connection: Connection) -> None:
        """Watch `connection` no more: it is lost."""
        state = self._states.pop(connection, None)
        if state is None:
            return
        state.waiting.lost()
        if not state.known:
            self._forget_unknown(state.address)

    def _forget_unknown(self, address: str) -> None:
        self._unknown[address] -= 1
        if not self._unknown[address]:
            del self._unknown[address]

    def check(self, now: float) -> None:
        """Abort connections whose client takes nothing of what was sent."""
        for connection, state in list(self._states.items()):
            unread, closing = waiting_in(connection), connection.is_closing()
            if closing and not unread:
                self.drop(connection)
                continue
            if not unread or unread < state.unread or closing is not state.closing:
                state.since = now
            state.unread, state.closing = unread, closing
            if unread and now - state.since >= (CLOSE_S if closing else STALL_S):
                self.tally.refuse("unread")
                connection.abort()
                self.drop(connection)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check every `CHECK_EVERY_S` seconds for as long as connections are open."""
        if self._timer is None:
            self._timer = loop.call_later(CHECK_EVERY_S, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self.check(loop.time())
        if self._states:
            self.start(loop)
