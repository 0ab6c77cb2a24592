"""Share one read among all callers that requested it before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Calls `read`, one at a time, for all callers that came before the call began.

    The result was read after it was requested, and is shared: it must not be modified.
    """

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._turn = asyncio.Lock()
        self._coming: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return a result that is read from now on. Raises the errors of `read`."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._read_in_turn())
            self._coming.add_done_callback(_take_error)
        # Other sessions wait for it too.
        return await asyncio.shield(self._coming)

    async def _read_in_turn(self) -> T:
        async with self._turn:
            # Later callers wait for the next one.
            self._coming = None
            return await self._read()


def _take_error(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
