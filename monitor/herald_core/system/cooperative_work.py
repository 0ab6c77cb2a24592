"""Long work on an event loop, in pieces between which others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

MAX_TURN_S = 0.003
"""Seconds of work after which others on the loop have a turn."""


class TimeSlices:
    """A counter of uninterrupted work, checked between two small pieces of it."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def yield_if_due(self) -> None:
        """Let others go on, if they have waited for `MAX_TURN_S`."""
        if time.perf_counter() - self._since >= MAX_TURN_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


async def iter_in_slices(things: Iterable[Item]) -> AsyncGenerator[Item]:
    """Yield `things`; others on the loop have their turns between them."""
    turns = TimeSlices()
    for thing in things:
        yield thing
        await turns.yield_if_due()
