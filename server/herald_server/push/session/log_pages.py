"""Pages of the change log: a bounded number of changes, and a place to go on from.

A poll that finds more than its caller can take returns the first changes, in order, and
a place between two changes. Nothing is missed: the next page begins right there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from herald_core.errors import InvalidCursor
from herald_core.model.changes import TASK, Change, LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_core.model.vector_cursor import VectorCursor, parse_any_cursor
from herald_core.store.ports import ChangeLog
from herald_server.push.log.hub import is_relevant

MAX_COUNTED = 10_000
"""Changes that are looked at to say how many follow a page."""

READ_ENTRIES = 100


class LogPlace(NamedTuple):
    """A place in the log: after an entry, and after `skip` changes of the next one."""

    after: Cursor
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.after}+{self.skip}" if self.skip else str(self.after)


def parse_place(text: str) -> LogPlace:
    """Return the place written as `text`: a cursor, or `CURSOR+N`.

    Raises `InvalidCursor`.
    """
    cursor, mark, skip = text.partition("+")
    if not mark:
        return LogPlace(parse_any_cursor(cursor))
    if not (skip.isascii() and skip.isdigit() and len(skip) <= 7):
        raise InvalidCursor(f"{text[:40]!r} is no cursor", "cursor")
    return LogPlace(parse_any_cursor(cursor), int(skip))


class LogPage:
    """The first `limit` tasks that changed after `place`, each as it was then.

    `put` and `gone` are as in a `data` frame. `more` tasks changed after `place` ends;
    if not `is_counted`, at least so many.
    """

    def __init__(self, filter_: Filter, place: LogPlace, limit: int) -> None:
        self.put: dict[str, dict[str, Any]] = {}
        self.gone: dict[str, None] = {}
        self.place = place
        self.is_counted = True
        self._filter = filter_
        self._limit = limit
        self._later: set[str] = set()
        self._is_full = False
        self.changes_read = 0

    @property
    def more(self) -> int:
        """Number of tasks that changed after the page."""
        return len(self._later)

    @property
    def has_changes(self) -> bool:
        """Whether the page has any change."""
        return bool(self.put or self.gone)

    def add_entry(self, after: Cursor, entry: LogEntry) -> None:
        """Take the changes of `entry`, which follows the position `after`."""
        self.changes_read += len(entry.changes)
        # In which order entries of several logs are read is not fixed, so a page ends
        # between two of them.
        is_whole = isinstance(after, VectorCursor)
        skip = self.place.skip if self.place.after == after else 0
        for number, change in enumerate(entry.changes):
            if number >= skip and self._is_wanted(change):
                self._take(change, LogPlace(after, number), is_whole)
        if not self._is_full:
            self.place = LogPlace(entry.cursor)
            self._is_full = is_whole and self._count() >= self._limit

    def _is_wanted(self, change: Change) -> bool:
        return change.kind == TASK and is_relevant(self._filter, change)

    def _take(self, change: Change, place: LogPlace, is_whole: bool) -> None:
        known = change.id in self.put or change.id in self.gone
        if not (known or is_whole or self._is_full) and self._count() >= self._limit:
            self.place, self._is_full = place, True
        if self._is_full:
            self._later.add(change.id)
        elif _is_shown(self._filter, change):
            self.gone.pop(change.id, None)
            self.put[change.id] = msgspec.json.decode(change.json)
        else:
            self.put.pop(change.id, None)
            self.gone[change.id] = None

    def _count(self) -> int:
        return len(self.put) + len(self.gone)


def _is_shown(filter_: Filter, change: Change) -> bool:
    if change.is_deletion:
        return False
    return change.task is None or filter_.matches(change.task)


async def read_log_page(
    log: ChangeLog, filter_: Filter, place: LogPlace, limit: int, until: Cursor
) -> LogPage | None:
    """Return the page after `place`; None if the log does not reach back so far.

    Changes after `until` are not looked at. Raises `StoreError`.
    """
    page, at = LogPage(filter_, place, limit), place.after
    while at < until:
        entries = await log.read_entries(at, limit=READ_ENTRIES, until=until)
        for entry in entries:
            if not entry.cursor.is_next_after(at):
                return None
            page.add_entry(at, entry)
            at = entry.cursor
        if not entries:
            return None
        if page.changes_read >= MAX_COUNTED:
            page.is_counted = at >= until
            break
    return page
