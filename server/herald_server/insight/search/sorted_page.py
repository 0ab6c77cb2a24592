"""One page of tasks in the order of a value, out of a stream of tasks. Pure."""

from __future__ import annotations

import base64
import binascii
import heapq
from bisect import bisect_left
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from herald_core.errors import InvalidCursor
from herald_core.model.queries.task_query import Sort
from herald_core.model.queries.value_range import read_number
from herald_core.model.tasks.views import TaskView

MAX_SORTED = 100_000
"""The newest tasks of a selection, out of which an order is made."""

SortKey: TypeAlias = tuple[bool, float, str]
"""Whether the value is unknown, the value (negative if descending), and the id."""


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """The position behind a page: its order, and the key of its last task."""

    field: str
    descending: bool
    key: SortKey


class SortedPage:
    """The first `limit` tasks behind `page` in the order of `sort`.

    A page begins behind the last task of the page before, by its value: pages do not
    shift as tasks arrive. `now` (unix seconds) is for those that still wait. Raises
    `InvalidCursor` for a `page` of another order.
    """

    def __init__(self, sort: Sort, limit: int, now: float, page: str | None) -> None:
        self._sort = sort
        self._limit = max(limit, 1)
        self._now = now
        self._after = None if page is None else _decode_token(page, sort).key
        self._best: list[tuple[SortKey, TaskView]] = []
        self._keys: list[SortKey] = []
        """The first keys of those that were considered, in order."""
        self._dropped = False

    def check(self, task: TaskView) -> bool:
        """Return True if `task` is to be added: none of those considered before push
        it off the page."""
        key = self._make_key(task)
        if self._after is not None and key <= self._after:
            return False
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            return True
        self._keys.insert(place, key)
        if len(self._keys) <= self._limit:
            return True
        self._dropped = True
        self._keys.pop()
        return place < self._limit

    def add(self, tasks: Iterable[TaskView]) -> None:
        """Put `tasks` on the page, where they belong there."""
        keyed = ((self._make_key(task), task) for task in tasks)
        new = [pair for pair in keyed if self._after is None or pair[0] > self._after]
        every = [*self._best, *new]
        self._best = heapq.nsmallest(self._limit, every, key=lambda pair: pair[0])
        self._dropped |= len(every) > self._limit

    def list_tasks(self) -> tuple[TaskView, ...]:
        """Return the tasks of the page, in order."""
        return tuple(task for _, task in self._best)

    def make_token(self) -> str | None:
        """Return the token of the next page; None if this is the last one."""
        if not self._dropped:
            return None
        sort = self._sort
        token = _Token(sort.field, sort.descending, self._best[-1][0])
        encoded = base64.urlsafe_b64encode(msgspec.json.encode(token))
        return encoded.decode().rstrip("=")

    def _make_key(self, task: TaskView) -> SortKey:
        value = read_number(task, self._sort.field, self._now)
        if value is None:
            return True, 0.0, task.id
        return False, -value if self._sort.descending else value, task.id


def _decode_token(page: str, sort: Sort) -> _Token:
    try:
        padded = page.encode("ascii") + b"=" * (-len(page) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        token = msgspec.json.decode(raw, type=_Token)
        if (token.field, token.descending) == (sort.field, sort.descending):
            return token
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    raise InvalidCursor(
        f"{page[:40]!r} is no page token of this order; pass back the `next` of a page "
        "with the same sort, or none",
        "page",
    )
