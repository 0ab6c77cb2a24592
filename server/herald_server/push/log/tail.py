"""The change log behind a position: the entries stored so far, then each new one.

The hub sends new entries to all tails; the store is read for older entries, and
for a reader that cannot keep up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

import msgspec

from herald_core.model.changes import Change, LogEntry
from herald_core.model.cursor import START, Cursor
from herald_core.model.filters import Filter
from herald_core.model.vector_cursor import VectorCursor
from herald_core.store.ports import ChangeLog
from herald_server.push.log.hub import Hub, Subscriber

MAX_ENTRIES = 200
"""Entries that are read in one step, and kept in memory."""

MAX_CHANGES = 1_000
"""Changes that are kept in memory, unless one entry has more."""

LAST_NUMBER = (1 << 63) - 1
"""Behind every number of an entry."""


class LogPosition(msgspec.Struct, frozen=True):
    """How far the log was read: behind `cursor`, or behind change `number` of it."""

    cursor: Cursor
    number: int | None = None

    def __str__(self) -> str:
        if self.number is None:
            return str(self.cursor)
        # Of several logs, the one whose entry it is within.
        part = f".{self.cursor.moved}" if isinstance(self.cursor, VectorCursor) else ""
        return f"{self.cursor}{part}.{self.number}"


class LogSlice(NamedTuple):
    """Entries in order, and the position behind them.

    `lost`: "" or why changes before or among them are missing: "trimmed", or
    "epoch" for a history that was replaced.
    """

    entries: Sequence[LogEntry]
    end: LogPosition
    lost: str = ""

    @property
    def changes(self) -> Iterator[tuple[Change, LogPosition]]:
        """Each change, with the position behind it."""
        for entry in self.entries:
            for change in entry.changes:
                yield change, LogPosition(entry.cursor, change.place[1])


async def read_log(
    log: ChangeLog, at: LogPosition, most: int = MAX_ENTRIES
) -> LogSlice:
    """Return at most `most` entries behind `at`. Raises `StoreError`."""
    entries = await log.read_entries(_get_cursor_before(at), limit=most)
    if entries:
        return _slice_behind(at, entries)
    end = await log.read_end()
    # There is nothing to resume after its end.
    return (
        LogSlice((), LogPosition(end), "epoch") if end < at.cursor else LogSlice((), at)
    )


class LogTail:
    """Reads the log from `at` on; as a context, fed by the hub."""

    def __init__(
        self, hub: Hub, log: ChangeLog, at: LogPosition, most: int = MAX_ENTRIES
    ) -> None:
        self.at = at
        self._hub = hub
        self._log = log
        self._max_entries = most
        self._fresh: deque[LogEntry] = deque(maxlen=MAX_ENTRIES)
        self._size = 0
        """How many changes are in them, or were in those that were removed since."""
        self._ready = asyncio.Event()
        # Subscribes to nothing: it is woken when the history breaks.
        self._breaks = Subscriber(Filter(ids=()), self._ready.set)
        self._stop_listening: Callable[[], None] = lambda: None
        self._closed = False
        self._is_started = False

    def __enter__(self) -> Self:
        self._stop_listening = self._hub.add_listener(self._receive)
        self._hub.subscribe(self._breaks)
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.unsubscribe(self._breaks)
        self._stop_listening()

    def close(self) -> None:
        """End `read_entries`, also one that waits."""
        self._closed = True
        self._ready.set()

    def seek(self, at: LogPosition) -> None:
        """Continue at `at`."""
        self.at, self._is_started = at, False

    async def read(self) -> LogSlice | None:
        """Wait for entries and return them; None once closed. Raises `StoreError`."""
        while not self._closed:
            self._ready.clear()
            found = self._take_fresh() or await self._read_stored()
            if found is not None:
                self.at = found.end
                return found
            await self._ready.wait()
        return None

    def _receive(self, entry: LogEntry) -> None:
        # The oldest is dropped if it is not read in time: it is read from the log.
        self._fresh.append(entry)
        self._size += len(entry.changes)
        if self._size > MAX_CHANGES:
            self._drop_oldest()
        self._ready.set()

    def _drop_oldest(self) -> None:
        self._size = sum(len(entry.changes) for entry in self._fresh)
        while self._size > MAX_CHANGES and len(self._fresh) > 1:
            self._size -= len(self._fresh.popleft().changes)

    def _take_fresh(self) -> LogSlice | None:
        """Return what the hub sent, if it follows what was read before."""
        while self._fresh and self._fresh[0].cursor <= self.at.cursor:
            self._fresh.popleft()
        entries = list(self._fresh)[: self._max_entries]
        if not entries or self.at.number is not None:
            return None
        found = _slice_behind(self.at, entries)
        if found.lost:
            return None
        for _ in entries:
            self._fresh.popleft()
        return found

    async def _read_stored(self) -> LogSlice | None:
        """Return what the log has behind `at`, if there must be something."""
        broken, self._breaks.reset = self._breaks.reset, ""
        is_at_end = self.at.cursor >= self._hub.pos and not self._fresh
        if self._is_started and is_at_end and not broken:
            return None
        found = await read_log(self._log, self.at, self._max_entries)
        self._is_started = True
        return found if found.end != self.at or found.lost else None


def _slice_behind(at: LogPosition, entries: Sequence[LogEntry]) -> LogSlice:
    """Return `entries` without the changes that `at` has passed."""
    before, lost, found = _get_cursor_before(at), "", at.number is None
    rest: list[LogEntry] = []
    for entry in entries:
        if at.number is not None and _is_same_entry(entry.cursor, at.cursor):
            found = True
            rest.append(_drop_passed(entry, at.number))
        else:
            lost = lost or _find_loss(before, entry.cursor)
            rest.append(entry)
        before = entry.cursor
    return LogSlice(rest, LogPosition(before), lost or ("" if found else "trimmed"))


def _drop_passed(entry: LogEntry, number: int) -> LogEntry:
    changes = tuple(one for one in entry.changes if one.place[1] > number)
    return msgspec.structs.replace(entry, changes=changes)


def _find_loss(before: Cursor, after: Cursor) -> str:
    """Return why changes between `before` and the entry `after` are missing, or ""."""
    if _follows(before, after):
        return ""
    return "trimmed" if before.epoch == after.epoch else "epoch"


def _follows(before: Cursor, after: Cursor) -> bool:
    if after.is_next_after(before):
        return True
    if isinstance(before, VectorCursor) and isinstance(after, VectorCursor):
        part = after.moved
        if len(before.parts) != len(after.parts):
            return False
        return after == before.advance(part, after.parts[part]) and _follows(
            before.parts[part], after.parts[part]
        )
    # Before the first entry nothing can be missed.
    return before == START and after.n == 0


def _is_same_entry(one: Cursor, other: Cursor) -> bool:
    if isinstance(one, VectorCursor) and isinstance(other, VectorCursor):
        part = one.moved
        return part == other.moved and one.parts[part:][:1] == other.parts[part:][:1]
    return one == other


def _get_cursor_before(at: LogPosition) -> Cursor:
    """Return the cursor behind which the entry lies that `at` is within."""
    if at.number is None:
        return at.cursor
    if isinstance(at.cursor, VectorCursor):
        part = at.cursor.moved
        return at.cursor.advance(part, _step_back(at.cursor.parts[part]))
    return _step_back(at.cursor)


def _step_back(cursor: Cursor) -> Cursor:
    epoch, n = cursor
    # An epoch begins with 0: before it is the end of any earlier one.
    return Cursor(epoch, n - 1) if n else Cursor(max(epoch - 1, 0), LAST_NUMBER)
