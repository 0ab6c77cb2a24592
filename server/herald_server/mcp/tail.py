"""The log behind a place, change by change: what came meanwhile, then what comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from herald_monitor.model.changes import Change, Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.vector import Vector
from herald_monitor.store import Log
from herald_server.hub import Hub, Watcher
from herald_server.mcp.events_wire import Place

AT_ONCE = 200
"""Entries of the log that are taken in one step."""

MAX_FRESH = 1_000
"""Changes that are kept for who does not take them, unless one entry has more."""

LAST = (1 << 63) - 1
"""Behind every number of an entry."""


class Met(NamedTuple):
    """A change, and the place of the entry that it lies in."""

    change: Change
    cursor: Cursor

    @property
    def behind(self) -> Place:
        """The place behind the change."""
        return Place(self.cursor, self.change.place[1])


class Stretch(msgspec.Struct, frozen=True):
    """Some changes in order, and the place behind them.

    `broken`: before or among them some are missing. They were trimmed away, or
    history was replaced.
    """

    changes: list[Met]
    at: Place
    broken: bool = False


async def stretch(log: Log, at: Place, most: int = AT_ONCE) -> Stretch:
    """Return what lies behind `at` in the log. Raises `StoreError`."""
    entries = await log.read(_before(at), most=most)
    if entries:
        return joined(entries, at)
    end = await log.end()
    # Behind its end there is nothing to come back to.
    beyond = end < at.cursor
    return Stretch([], Place(end) if beyond else at, broken=beyond)


def joined(entries: Sequence[Entry], at: Place) -> Stretch:
    """Return `entries` as one stretch behind `at`, without what `at` has passed."""
    last, broken, met = _before(at), False, at.number is None
    changes: list[Met] = []
    for entry in entries:
        within = at.number is not None and _same_entry(entry.cursor, at.cursor)
        met = met or within
        # Before the first entry ever there is nothing to miss.
        broken = broken or not (within or entry.cursor.follows(last) or last == START)
        last = entry.cursor
        passed = at.number if within and at.number is not None else -1
        changes += [
            Met(one, entry.cursor) for one in entry.changes if one.place[1] > passed
        ]
    return Stretch(changes, Place(last), broken or not met)


def _same_entry(one: Cursor, other: Cursor) -> bool:
    if isinstance(one, Vector) and isinstance(other, Vector):
        part = one.moved
        return part == other.moved and one.parts[part:][:1] == other.parts[part:][:1]
    return one == other


def _before(at: Place) -> Cursor:
    """Return the cursor behind which the entry lies that `at` is within."""
    if at.number is None:
        return at.cursor
    if isinstance(at.cursor, Vector):
        part = at.cursor.moved
        return at.cursor.at(part, _one_before(at.cursor.parts[part]))
    return _one_before(at.cursor)


def _one_before(cursor: Cursor) -> Cursor:
    epoch, n = cursor.epoch, cursor.n
    # An epoch begins with 0: before it lies the end of any earlier one.
    return Cursor(epoch, n - 1) if n else Cursor(max(epoch - 1, 0), LAST)


class Tail:
    """Follows the log from `at`; as a context, fed by the hub.

    What the hub tells is shared by all; the store is read only for what came
    before, and by who was too slow to keep up.
    """

    def __init__(self, hub: Hub, log: Log, at: Place) -> None:
        self._hub = hub
        self._log = log
        self._fresh: deque[Entry] = deque(maxlen=AT_ONCE)
        self._changes = 0
        """How many changes are in them, or were in those that fell out."""
        self._ready = asyncio.Event()
        # Asks for nothing: it is woken when history breaks off.
        self._breaks = Watcher(Filter(ids=()), self._ready.set)
        self._end: Callable[[], None] | None = None
        self._ended = False
        self._begun = False
        self.at = at

    def __enter__(self) -> Tail:
        self._end = self._hub.listen(self._note)
        self._hub.watch(self._breaks)
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.drop(self._breaks)
        if self._end is not None:
            self._end()

    def _note(self, entry: Entry) -> None:
        # The oldest falls out where nobody takes it: it is read from the log.
        self._fresh.append(entry)
        self._changes += len(entry.changes)
        if self._changes > MAX_FRESH:
            self._drop_oldest()
        self._ready.set()

    def _drop_oldest(self) -> None:
        self._changes = sum(len(entry.changes) for entry in self._fresh)
        while self._changes > MAX_FRESH and len(self._fresh) > 1:
            self._changes -= len(self._fresh.popleft().changes)

    def end(self) -> None:
        """Let whoever waits for more go home."""
        self._ended = True
        self._ready.set()

    async def more(self) -> Stretch | None:
        """Wait for more and return it; None once it was ended. Raises `StoreError`."""
        while not self._ended:
            self._ready.clear()
            found = self._told() or await self._read()
            if found is not None:
                self.at = found.at
                return found
            await self._ready.wait()
        return None

    def _told(self) -> Stretch | None:
        """Return what the hub told, if it follows what was taken before."""
        while self._fresh and self._fresh[0].cursor <= self.at.cursor:
            self._fresh.popleft()
        if (
            not self._fresh
            or self.at.number is not None
            or not self._fresh[0].cursor.follows(self.at.cursor)
        ):
            return None
        found = joined(list(self._fresh), self.at)
        self._fresh.clear()
        self._changes = 0
        return found

    async def _read(self) -> Stretch | None:
        """Return what the log has behind `at`, if there must be something."""
        if self._begun and not self._fresh and self.at.cursor >= self._hub.pos:
            return None
        self._begun = True
        found = await stretch(self._log, self.at)
        return found if found.at != self.at or found.broken else None
