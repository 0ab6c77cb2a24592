"""The log behind a cursor, for one endpoint.

What the hub tells is shared by all endpoints; the store is read for what came
before, and by an endpoint that cannot keep up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

from herald_monitor.model.changes import Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.vector import Vector
from herald_monitor.store import Log
from herald_server.hub import Hub, Watcher

AT_ONCE = 8
SHARED = 50
"""Entries that are remembered as the hub told them."""


class Broken(Exception):
    """Changes behind the cursor are missing: trimmed away, or history was replaced."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tail:
    """Follows the log from `at`; as a context, told by the hub."""

    def __init__(self, hub: Hub, log: Log, at: Cursor) -> None:
        self._hub = hub
        self._log = log
        self._fresh: deque[Entry] = deque(maxlen=SHARED)
        self._ready = asyncio.Event()
        # Asks for nothing: it is woken when history breaks off.
        self._breaks = Watcher(Filter(ids=()), self._ready.set)
        self._end: Callable[[], None] = lambda: None
        self._asked = False
        self.at = at

    def __enter__(self) -> Tail:
        self._end = self._hub.listen(self._note)
        self._hub.watch(self._breaks)
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.drop(self._breaks)
        self._end()

    def _note(self, entry: Entry) -> None:
        self._fresh.append(entry)
        self._ready.set()

    async def more(self) -> Sequence[Entry]:
        """Wait for entries, and return them once.

        Raises `Broken`, `StoreError`.
        """
        while True:
            self._ready.clear()
            found = self._told() or await self._read()
            if found:
                self.at = found[-1].cursor
                return found
            await self._ready.wait()

    def go_on(self, at: Cursor) -> None:
        """Go on from `at`, after a break."""
        self.at = at
        self._asked = False

    def _told(self) -> list[Entry]:
        """Return what the hub told, if it follows what was taken before."""
        while self._fresh and self._fresh[0].cursor <= self.at:
            self._fresh.popleft()
        if not self._fresh or not _follow([*self._fresh], self.at):
            return []
        found = [self._fresh.popleft() for _ in range(min(AT_ONCE, len(self._fresh)))]
        return found

    async def _read(self) -> Sequence[Entry]:
        breaks, self._breaks.reset = self._breaks.reset, ""
        if self._asked and not self._fresh and not breaks and self.at >= self._hub.pos:
            return ()
        entries = await self._log.read(self.at, most=AT_ONCE)
        self._asked = True
        if entries:
            if not _follow(entries, self.at):
                epoch = entries[0].cursor.epoch
                raise Broken("trimmed" if epoch == self.at.epoch else "epoch")
            return entries
        if await self._log.end() < self.at:
            raise Broken("epoch")
        return ()


def _follow(entries: Sequence[Entry], at: Cursor) -> bool:
    """Say whether nothing lies between `at` and `entries`, nor between these."""
    places = [at, *(entry.cursor for entry in entries)]
    return all(_next(before, after) for before, after in pairwise(places))


def _next(before: Cursor, after: Cursor) -> bool:
    if after.follows(before):
        return True
    if isinstance(before, Vector) and isinstance(after, Vector):
        part = after.moved
        if len(before.parts) != len(after.parts):
            return False
        return after == before.at(part, after.parts[part]) and _next(
            before.parts[part], after.parts[part]
        )
    # Before the first entry ever there is nothing to miss.
    return before == START and after.n == 0
