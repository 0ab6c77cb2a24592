"""A watch: changes, one by one, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from herald_server.client.address import Address
from herald_server.client.changes import Change
from herald_server.client.line import Line
from herald_server.client.sentences import unreachable
from herald_server.client.story import Cut, Story

T = TypeVar("T")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 6.4
"""Seconds between connections, at most; where in there is left to chance, so that
not everybody comes back at once."""

Tell = Callable[[str], None]


class Watch(Generic[T]):
    """Changes as they happen: `async for change in watch`. Ends when all is final.

    First comes what there is now, then what becomes of it. A broken connection
    is taken up again where it broke, for as long as it takes; only the first
    one must succeed. It can be gone through once. Iterating
    raises `Unreachable`, `Refused`, `ServerProblem`.
    """

    def __init__(self, address: Address, story: Story[T], tell: Tell) -> None:
        self._address = address
        self._story = story
        self._tell = tell
        self._line = Line(address)
        self._pause = FIRST_PAUSE
        self._met = False
        self._lost = False
        self._closed = False
        self.cursor = story.cursor
        """Up to where every change was handed out; a later watch may go on from it."""

    def __aiter__(self) -> AsyncGenerator[Change[T], None]:
        return self._changes()

    async def _changes(self) -> AsyncGenerator[Change[T], None]:
        try:
            while not (self._story.done or self._closed):
                for change in await self._heard():
                    yield change
                self.cursor = self._story.cursor
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End it, from wherever; whoever iterates comes to the end."""
        self._closed = True
        await self._line.hang_up()

    async def _heard(self) -> list[Change[T]]:
        try:
            if not self._line.open:
                await self._line.dial(self._story.begin())
            changes = self._story.hear(await self._line.hear())
        except Cut as cut:
            await self._again(cut)
            return []
        self._in_touch()
        return changes

    def _in_touch(self) -> None:
        self._met = True
        if self._story.cursor != self.cursor:
            self._pause = FIRST_PAUSE
        if self._lost:
            self._tell(f"in touch with {self._address.url} again")
        self._lost = False
        for note in self._story.notes:
            self._tell(note)
        self._story.notes.clear()

    async def _again(self, cut: Cut) -> None:
        """Pause before another connection; raises `Unreachable` if there was none."""
        await self._line.hang_up()
        if self._closed:
            return
        if not self._met:
            raise unreachable(self._address, cut) from cut
        if not self._lost:
            self._tell(f"lost touch with {self._address.url} ({cut}); trying again")
        self._lost = True
        longest = self._pause if cut.wait is None else cut.wait
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(longest if cut.wait else random.uniform(0, longest))
