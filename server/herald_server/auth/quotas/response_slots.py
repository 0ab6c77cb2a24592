"""Limit how many large responses of one token are built at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from herald_server.auth import request_context
from herald_server.auth.quotas.start_limits import QuotaExceeded
from herald_server.auth.quotas.unread_bytes import TokenBacklog

MAX_BACKLOG_WAIT_S = 5.0
"""Seconds after which a snapshot is read although much is unread."""

BUSY_MESSAGE = (
    "other results are still being read for this token; ask again in some seconds"
)
RETRY_AFTER_S = 5
"""Seconds after which the client may retry."""


class SnapshotTurn:
    """The permission of one connection to read a snapshot, shared by its token.

    The hub keeps all changes for a connection while it reads a snapshot, so few may do
    so at a time.
    """

    __slots__ = ("_is_held", "_requested_at", "backlog")

    def __init__(self, backlog: TokenBacklog) -> None:
        self.backlog = backlog
        self._is_held: asyncio.Semaphore | None = None
        self._requested_at: float | None = None

    async def acquire(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for the permission; return False
        if it did not come."""
        now = time.monotonic()
        self._requested_at = self._requested_at or now
        try:
            async with asyncio.timeout(timeout_s):
                await self._acquire(now - self._requested_at < MAX_BACKLOG_WAIT_S)
        except TimeoutError:
            return False
        self._requested_at = None
        return True

    async def _acquire(self, wants_room: bool) -> None:
        if self._is_held is None:
            snapshots = self.backlog.snapshots
            await snapshots.acquire()
            self._is_held = snapshots
        if wants_room:
            await self.backlog.wait_for_room()

    def release(self) -> None:
        """Release the permission, for example while the client does not read."""
        if self._is_held is not None:
            self._is_held.release()
            self._is_held = None


@asynccontextmanager
async def hold_answer_turn() -> AsyncGenerator[None]:
    """Hold a slot to build a large response, or a page of one, for the current caller.

    Waits while other responses for the same token are built, or wait unread at its
    clients.
    """
    backlog = _find_backlog()
    if backlog is None:
        yield
        return
    async with backlog.answers:
        await backlog.wait_for_room()
        yield


@asynccontextmanager
async def hold_backend_turn(timeout_s: float) -> AsyncGenerator[None]:
    """Hold the slot of the caller's token for a query to the result backend.

    A response may take several times its size in memory. Raises `QuotaExceeded` if the
    slot is not free after `timeout_s`.
    """
    backlog = _find_backlog()
    if backlog is None:
        yield
        return
    try:
        async with asyncio.timeout(timeout_s):
            await backlog.lookups.acquire()
    except TimeoutError:
        raise QuotaExceeded(BUSY_MESSAGE, RETRY_AFTER_S) from None
    try:
        await backlog.wait_for_room()
        yield
    finally:
        backlog.lookups.release()


def _find_backlog() -> TokenBacklog | None:
    payer = request_context.get_account()
    return None if payer is None else payer.backlog
