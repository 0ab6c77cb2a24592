"""A watch: an iterator of changes that reconnects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

from herald_client.connection.handshake import make_auth_frame
from herald_client.connection.http import AsyncTokens
from herald_client.connection.protocol import ConnectionLost, SubscriptionProtocol
from herald_client.connection.url import ServerUrl
from herald_client.connection.watch_state import (
    Notify,
    WatchState,
    is_token_refused,
)
from herald_client.connection.websocket import WebSocketConnection
from herald_client.errors import AccessRefused
from herald_client.models.changes import Change

T = TypeVar("T")


class Watch(Generic[T]):
    """Changes as they happen: `async for change in watch`. Ends when all tasks are
    final.

    It first yields a snapshot, then changes. A broken connection is resumed from its
    cursor, for as long as it takes; only the first connection must succeed. Its token
    is renewed before it ends. It can be iterated once. Iterating raises `Unreachable`,
    `AccessRefused`, `ServerProblem`.
    """

    def __init__(
        self,
        address: ServerUrl,
        story: SubscriptionProtocol[T],
        tell: Notify,
        tokens: AsyncTokens | None = None,
    ) -> None:
        self._state = WatchState(address, story, tell)
        self._tokens = tokens or AsyncTokens(address.token, None)
        self._sent_token = ""
        self._connection = WebSocketConnection(address)

    @property
    def cursor(self) -> str | None:
        """Position up to which all changes were yielded. A later watch can resume from
        it."""
        return self._state.cursor

    def __aiter__(self) -> AsyncGenerator[Change[T], None]:
        return self._iter_changes()

    async def _iter_changes(self) -> AsyncGenerator[Change[T], None]:
        try:
            while not self._state.is_over:
                for change in await self._receive():
                    yield change
                self._state.cursor = self._state.protocol.cursor
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection and end the iteration."""
        self._state.is_closed = True
        await self._connection.close()

    async def _receive(self) -> list[Change[T]]:
        try:
            await self._tokens.refresh()
            await self._connect()
            frame = await self._connection.receive(self._compute_timeout())
            if frame is None:
                return []
            self._tokens.accept()
            return self._state.receive(frame)
        except ConnectionLost as cut:
            await self._connection.close()
            if not self._state.is_closed:
                await asyncio.sleep(self._state.compute_pause(cut))
        except AccessRefused as error:
            await self._connection.close()
            if not (is_token_refused(error) and self._tokens.may_renew_refused):
                raise
            await self._tokens.refresh(refused=self._sent_token)
        return []

    async def _connect(self) -> None:
        """Be connected, with the present token."""
        token = self._tokens.token
        if not self._connection.is_open:
            self._sent_token = token
            greeting = self._state.protocol.begin()
            await self._connection.connect(greeting, self._tokens.headers)
        elif token != self._sent_token:
            self._sent_token = token
            await self._connection.send(make_auth_frame(token))

    def _compute_timeout(self) -> float | None:
        """Return the seconds until the token must be renewed; None for never."""
        renew_at = self._tokens.renew_at
        return None if renew_at is None else max(renew_at - time.time(), 0.0)
