"""A watch for threads: an iterator of changes that reconnects."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Generic, TypeVar

from herald_client.connection.handshake import make_auth_frame
from herald_client.connection.protocol import ConnectionLost, SubscriptionProtocol
from herald_client.connection.sync_http import SyncTokens
from herald_client.connection.sync_websocket import SyncWebSocketConnection
from herald_client.connection.url import ServerUrl
from herald_client.connection.watch_state import (
    Notify,
    WatchState,
    is_token_refused,
)
from herald_client.errors import AccessRefused
from herald_client.models.changes import Change

T = TypeVar("T")


class SyncWatch(Generic[T]):
    """Changes as they happen: `for change in watch`. As `Watch`, without asyncio.

    `close` may be called by another thread; it ends the iteration.
    """

    def __init__(
        self,
        address: ServerUrl,
        story: SubscriptionProtocol[T],
        tell: Notify,
        tokens: SyncTokens | None = None,
    ) -> None:
        self._state = WatchState(address, story, tell)
        self._tokens = tokens or SyncTokens(address.token, None)
        self._sent_token = ""
        self._connection = SyncWebSocketConnection(address)
        self._closed = threading.Event()

    @property
    def cursor(self) -> str | None:
        """Position up to which all changes were yielded. A later watch can resume from
        it."""
        return self._state.cursor

    def __iter__(self) -> Generator[Change[T], None, None]:
        return self._iter_changes()

    def _iter_changes(self) -> Generator[Change[T], None, None]:
        try:
            while not self._state.is_over:
                yield from self._receive()
                self._state.cursor = self._state.protocol.cursor
        finally:
            self.close()

    def receive(self, timeout: float | None = None) -> list[Change[T]]:
        """Return the changes of the next frame; none after `timeout` s."""
        changes = self._receive(timeout)
        self._state.cursor = self._state.protocol.cursor
        return changes

    @property
    def is_over(self) -> bool:
        """Whether no more changes follow."""
        return self._state.is_over

    def close(self) -> None:
        """Close the connection and end the iteration."""
        self._state.is_closed = True
        self._closed.set()
        self._connection.close()

    def _receive(self, timeout: float | None = None) -> list[Change[T]]:
        try:
            self._tokens.refresh()
            self._connect()
            frame = self._connection.receive(self._compute_timeout(timeout))
            if frame is None:
                return []
            self._tokens.accept()
            return self._state.receive(frame)
        except ConnectionLost as cut:
            self._connection.close()
            if not self._state.is_closed:
                self._closed.wait(self._state.compute_pause(cut))
        except AccessRefused as error:
            self._connection.close()
            if not (is_token_refused(error) and self._tokens.may_renew_refused):
                raise
            self._tokens.refresh(refused=self._sent_token)
        return []

    def _connect(self) -> None:
        """Be connected, with the present token."""
        token = self._tokens.token
        if not self._connection.is_open:
            self._sent_token = token
            greeting = self._state.protocol.begin()
            self._connection.connect(greeting, self._tokens.headers)
        elif token != self._sent_token:
            self._sent_token = token
            self._connection.send(make_auth_frame(token))

    def _compute_timeout(self, timeout: float | None) -> float | None:
        """Return the seconds until the token must be renewed, at most `timeout`."""
        renew_at = self._tokens.renew_at
        if renew_at is None:
            return timeout
        left = max(renew_at - time.time(), 0.0)
        return left if timeout is None else min(left, timeout)
