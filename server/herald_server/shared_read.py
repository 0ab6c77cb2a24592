"""A read that all who ask for it before it begins share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Reads with `read`, once at a time, for all who came before a read began.

    What it returns was read after it was asked for, and is shared: not to be changed.
    """

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._turn = asyncio.Lock()
        self._coming: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return what is read from now on. Raises what `read` does."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._read_in_turn())
            self._coming.add_done_callback(_take_error)
        # Others wait for it too.
        return await asyncio.shield(self._coming)

    async def _read_in_turn(self) -> T:
        async with self._turn:
            # Whoever comes from here on waits for the next one.
            self._coming = None
            return await self._read()


def _take_error(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
