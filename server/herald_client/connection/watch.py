"""A watch: an iterator of changes that reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from herald_client.connection.error_messages import make_unreachable
from herald_client.connection.protocol import ConnectionLost, SubscriptionProtocol
from herald_client.connection.url import ServerUrl
from herald_client.connection.websocket import WebSocketConnection
from herald_client.models.changes import Change
from herald_core.system.backoff import Backoff

T = TypeVar("T")

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 6.4
"""Maximum seconds between connections. The pause is random, so that clients do not
reconnect at the same moment."""

Notify = Callable[[str], None]


class Watch(Generic[T]):
    """Changes as they happen: `async for change in watch`. Ends when all tasks are
    final.

    It first yields a snapshot, then changes. A broken connection is resumed from its
    cursor, for as long as it takes; only the first connection must succeed. It can be
    iterated once. Iterating raises `Unreachable`, `AccessRefused`, `ServerProblem`.
    """

    def __init__(
        self, address: ServerUrl, story: SubscriptionProtocol[T], tell: Notify
    ) -> None:
        self._server_url = address
        self._protocol = story
        self._notify = tell
        self._connection = WebSocketConnection(address)
        self._backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S, jitter=1.0)
        self._was_connected = False
        self._is_lost = False
        self._is_closed = False
        self.cursor = story.cursor
        """Position up to which all changes were yielded. A later watch can resume from
        it."""

    def __aiter__(self) -> AsyncGenerator[Change[T], None]:
        return self._changes()

    async def _changes(self) -> AsyncGenerator[Change[T], None]:
        try:
            while not (self._protocol.done or self._is_closed):
                for change in await self._receive():
                    yield change
                self.cursor = self._protocol.cursor
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection and end the iteration."""
        self._is_closed = True
        await self._connection.close()

    async def _receive(self) -> list[Change[T]]:
        try:
            if not self._connection.is_open:
                await self._connection.connect(self._protocol.begin())
            changes = self._protocol.receive(await self._connection.receive())
        except ConnectionLost as cut:
            await self._pause_or_raise(cut)
            return []
        self._connect()
        return changes

    def _connect(self) -> None:
        self._was_connected = True
        if self._protocol.cursor != self.cursor:
            self._backoff.reset()
        if self._is_lost:
            self._notify(f"in touch with {self._server_url.url} again")
        self._is_lost = False
        for note in self._protocol.notes:
            self._notify(note)
        self._protocol.notes.clear()

    async def _pause_or_raise(self, cut: ConnectionLost) -> None:
        """Pause before reconnecting. Raises `Unreachable` if no
        connection ever succeeded."""
        await self._connection.close()
        if self._is_closed:
            return
        if not self._was_connected:
            raise make_unreachable(self._server_url, cut) from cut
        if not self._is_lost:
            self._notify(
                f"lost touch with {self._server_url.url} ({cut}); trying again"
            )
        self._is_lost = True
        pause = self._backoff.next_pause()
        await asyncio.sleep(pause if cut.retry_after_s is None else cut.retry_after_s)
