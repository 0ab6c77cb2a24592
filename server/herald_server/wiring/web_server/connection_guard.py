"""Bound the number of connections of a process and their unread bytes.

Every connection is checked in every state: before its request, during a response, as a
WebSocket, and while it closes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol

import msgspec

from herald_server.auth.quotas.counters import PushMetrics
from herald_server.auth.quotas.cpu_budget import Account, AccountRegistry
from herald_server.auth.quotas.unread_bytes import (
    Abort,
    UnreadBytes,
    count_waiting_bytes,
)

CHECK_INTERVAL_S = 5.0

STALL_TIMEOUT_S = 30.0
"""Seconds in which a client must read some of the sent data."""

CLOSE_TIMEOUT_S = 5.0
"""Seconds in which a client must read the rest after the connection was closed."""


class GuardedTransport(Protocol):
    """The part of `asyncio.Transport` that is used."""

    def get_write_buffer_size(self) -> int:
        """Return the number of unsent bytes."""
        ...

    def is_closing(self) -> bool:
        """Return True if it is closed or closing."""
        ...

    def abort(self) -> None:
        """Close it at once; unsent bytes are lost."""
        ...


def _skip_close(code: int, reason: str) -> None:
    """Do nothing: the transport is aborted if needed."""


class _State(msgspec.Struct):
    address: str
    waiting: UnreadBytes
    known: bool = False
    """Whether a valid token was given."""
    unread: int = 0
    since: float = 0.0
    """When the client last took something; monotonic seconds."""
    closing: bool = False


class ConnectionGuard:
    """The open connections of one process. Times are monotonic seconds.

    At most `max_open` are open at once, and at most `max_unknown` from one address
    without a valid token (0: unlimited). `trusted` are addresses of proxies, behind
    which there are many clients.
    """

    def __init__(
        self,
        max_open: int,
        max_unknown: int,
        trusted: frozenset[str] = frozenset(),
        metrics: PushMetrics | None = None,
        accounts: AccountRegistry | None = None,
    ) -> None:
        self.accounts = accounts or AccountRegistry()
        self._max_open = max_open
        self._max_unknown = max_unknown
        self._trusted = trusted
        self.metrics = metrics or PushMetrics()
        self._states: dict[GuardedTransport, _State] = {}
        self._unknown: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._states)

    def add(
        self,
        connection: GuardedTransport,
        address: str,
        now: float,
        cut: Abort = _skip_close,
    ) -> bool:
        """Register `connection`; abort it and return False if the limit is reached.

        `cut` closes it, with a reason for the client if possible.
        """
        if len(self._states) >= self._max_open or self._is_over_limit(address):
            self.metrics.count_refusal("connections")
            connection.abort()
            return False
        self._states[connection] = _State(
            address, UnreadBytes(connection, cut), since=now
        )
        self._unknown[address] += 1
        return True

    def _is_over_limit(self, address: str) -> bool:
        if not self._max_unknown or address in self._trusted:
            return False
        return self._unknown[address] >= self._max_unknown

    def get_unread(self, connection: GuardedTransport) -> UnreadBytes:
        """Return the unread bytes of `connection`."""
        state = self._states.get(connection)
        return UnreadBytes(connection, _skip_close) if state is None else state.waiting

    def admit(self, connection: GuardedTransport) -> None:
        """Record that a valid token was given on `connection`."""
        state = self._states.get(connection)
        if state is not None and not state.known:
            state.known = True
            self._forget_unknown(state.address)

    def find_account(self, address: str) -> Account | None:
        """Return the account charged for `address` until a valid token is given."""
        return None if address in self._trusted else self.accounts.for_address(address)

    def remove(self, connection: GuardedTransport) -> None:
        """Remove a connection that was lost."""
        state = self._states.pop(connection, None)
        if state is None:
            return
        state.waiting.on_lost()
        if not state.known:
            self._forget_unknown(state.address)

    def _forget_unknown(self, address: str) -> None:
        self._unknown[address] -= 1
        if not self._unknown[address]:
            del self._unknown[address]

    def check(self, now: float) -> None:
        """Abort connections whose client does not read."""
        for connection, state in list(self._states.items()):
            unread, closing = count_waiting_bytes(connection), connection.is_closing()
            if closing and not unread:
                self.remove(connection)
                continue
            if not unread or unread < state.unread or closing is not state.closing:
                state.since = now
            state.unread, state.closing = unread, closing
            if unread and now - state.since >= (
                CLOSE_TIMEOUT_S if closing else STALL_TIMEOUT_S
            ):
                self.metrics.count_refusal("unread")
                connection.abort()
                self.remove(connection)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check every `CHECK_INTERVAL_S` seconds while connections are open."""
        if self._timer is None:
            self._timer = loop.call_later(CHECK_INTERVAL_S, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self.check(loop.time())
        if self._states:
            self.start(loop)
