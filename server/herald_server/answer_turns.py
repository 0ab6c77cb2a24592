"""Large answers are made a few at a time for each token, and not while many wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from herald_server import caller
from herald_server.permits import TooMany
from herald_server.unread import Backlog

ROOM_WITHIN_S = 5.0
"""Seconds after which a snapshot is read however much waits unread."""

BUSY = "other results are still being read for this token; ask again in some seconds"
WAIT_S = 5
"""Seconds after which to ask again."""


class SnapshotTurn:
    """The turn of one connection among those of its token that read a snapshot.

    Meanwhile all that changes is kept for them.
    """

    __slots__ = ("_asked_at", "_taken", "backlog")

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self._taken: asyncio.Semaphore | None = None
        self._asked_at: float | None = None

    async def take(self, within: float) -> bool:
        """Wait for the turn, `within` seconds; return False if it did not come."""
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        try:
            async with asyncio.timeout(within):
                await self._take(now - self._asked_at < ROOM_WITHIN_S)
        except TimeoutError:
            return False
        self._asked_at = None
        return True

    async def _take(self, wants_room: bool) -> None:
        if self._taken is None:
            snapshots = self.backlog.snapshots
            await snapshots.acquire()
            self._taken = snapshots
        if wants_room:
            await self.backlog.room()

    def give_up(self) -> None:
        """Let another have the turn, such as while its client takes nothing."""
        if self._taken is not None:
            self._taken.release()
            self._taken = None


@asynccontextmanager
async def answer_turn() -> AsyncGenerator[None]:
    """Make a large answer, or a page of one, within the block, for who is served.

    Waits while others are made for the same token, or wait for its clients unread.
    """
    backlog = _backlog()
    if backlog is None:
        yield
        return
    async with backlog.answers:
        await backlog.room()
        yield


@asynccontextmanager
async def backend_turn(within: float) -> AsyncGenerator[None]:
    """Ask the result backend within the block, beside no other of the same token.

    What it answers may take several times its megabytes. Raises `TooMany` if the turn
    does not come `within` seconds.
    """
    backlog = _backlog()
    if backlog is None:
        yield
        return
    try:
        async with asyncio.timeout(within):
            await backlog.lookups.acquire()
    except TimeoutError:
        raise TooMany(BUSY, WAIT_S) from None
    try:
        await backlog.room()
        yield
    finally:
        backlog.lookups.release()


def _backlog() -> Backlog | None:
    payer = caller.account()
    return None if payer is None else payer.backlog
