"""How many members a group has: asked of the result backend, and kept.

Celery's events tell no group. The backend tells the size of a chord while it runs, of
a group that was saved, and of one that a task started; of any other group nobody does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from herald_monitor.backends import ResultBackend
from herald_monitor.errors import HeraldError, StoreError
from herald_monitor.notes import Notes

log = logging.getLogger(__name__)

KIND = "group"

KEPT = 86_400.0
"""Seconds for which a size is kept: as long as Celery keeps results."""

ASK_AGAIN = 2.0
"""Seconds after which the size of a group is found out again."""

WITHIN = 2.0
MOST_ASKED = 10_000
"""Groups of which it is remembered when the backend was asked."""

MOST_PARENTS = 3


class Size(msgspec.Struct, frozen=True):
    """The members of a group. `told`: by who sent it; else concluded by Herald."""

    members: int
    told: bool = True


class GroupSizes:
    """Knows the sizes of groups, as far as anybody told them."""

    def __init__(self, notes: Notes, backend: ResultBackend | None) -> None:
        self._notes = notes
        self._backend = backend
        self._asked: dict[str, float] = {}

    async def kept(self, group_id: str) -> Size | None:
        """Return the size of a group that became known before. Raises `StoreError`."""
        note = await self._notes.note(KIND, group_id)
        return None if note is None else msgspec.json.decode(note, type=Size)

    def is_due(self, group_id: str) -> bool:
        """Return True if it is time to find out about a group (again); note that."""
        now = time.monotonic()
        if now < self._asked.get(group_id, -ASK_AGAIN) + ASK_AGAIN:
            return False
        self._asked.pop(group_id, None)
        self._asked[group_id] = now
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        return True

    async def ask(self, group_id: str, parents: Sequence[str]) -> Size | None:
        """Ask the backend for the size of a group, and keep it.

        `parents` are tasks that may have started it. Raises `StoreError`.
        """
        if self._backend is None:
            return None
        given = parents[:MOST_PARENTS]
        try:
            members = await self._backend.group_size(group_id, given, WITHIN)
        except StoreError:
            raise
        except HeraldError as error:
            log.info("The size of a group is not known: %s", error)
            return None
        return None if members is None else await self.keep(group_id, Size(members))

    async def keep(self, group_id: str, size: Size) -> Size:
        """Keep a size that became known. Raises `StoreError`."""
        await self._notes.put_note(KIND, group_id, msgspec.json.encode(size), KEPT)
        self._asked.pop(group_id, None)
        return size

    async def drop(self, group_id: str) -> None:
        """Forget a size that turned out wrong. Raises `StoreError`."""
        await self._notes.drop_note(KIND, group_id)
