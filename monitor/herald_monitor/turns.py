"""Long work on an event loop, in pieces between which others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from typing import TypeVar

T = TypeVar("T")

TURN_S = 0.003
"""Seconds of work after which others on the loop have a turn."""


class Turns:
    """Counts the time of work in a row; to be asked between two small pieces of it."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def take(self) -> None:
        """Let others go on, if they have waited for `TURN_S`."""
        if time.perf_counter() - self._since >= TURN_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


async def by_turns(things: Iterable[T]) -> AsyncGenerator[T]:
    """Yield `things`; others on the loop have their turns between them."""
    turns = Turns()
    for thing in things:
        yield thing
        await turns.take()
