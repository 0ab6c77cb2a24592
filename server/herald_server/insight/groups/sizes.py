"""Sizes of groups, from the result backend, cached in the store.

Celery's events do not contain the group. The backend knows the size of a chord while it
runs, of a saved group, and of one that a task started; the size of any other group is
unknown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from herald_core.errors import HeraldError, StoreError
from herald_core.store.key_value import KeyValueStore
from herald_monitor.celery_client.backend.result_backend import ResultBackend

log = logging.getLogger(__name__)

KEY_KIND = "group"

RETENTION_S = 86_400.0
"""Seconds for which a size is stored: as long as Celery keeps results."""

RETRY_INTERVAL_S = 2.0
"""Seconds after which the size of a group is queried again."""

BACKEND_TIMEOUT_S = 2.0
MAX_ASKED = 10_000
"""Groups for which the time of the last query of the backend is kept."""

MAX_PARENTS = 3


class GroupSize(msgspec.Struct, frozen=True):
    """Number of members. `told`: given by the sender; otherwise concluded by Herald."""

    members: int
    told: bool = True


class GroupSizeStore:
    """Finds and stores the sizes of groups."""

    def __init__(self, notes: KeyValueStore, backend: ResultBackend | None) -> None:
        self._notes = notes
        self._backend = backend
        self._asked: dict[str, float] = {}

    async def load(self, group_id: str) -> GroupSize | None:
        """Return the stored size of a group. Raises `StoreError`."""
        note = await self._notes.get_item(KEY_KIND, group_id)
        return None if note is None else msgspec.json.decode(note, type=GroupSize)

    def is_due(self, group_id: str) -> bool:
        """Return True if the size of a group should be queried now;
        record the query."""
        now = time.monotonic()
        if now < self._asked.get(group_id, -RETRY_INTERVAL_S) + RETRY_INTERVAL_S:
            return False
        self._asked.pop(group_id, None)
        self._asked[group_id] = now
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        return True

    async def fetch(self, group_id: str, parents: Sequence[str]) -> GroupSize | None:
        """Query the backend for the size of a group, and store it.

        `parents` are tasks that may have started it. Raises `StoreError`.
        """
        if self._backend is None:
            return None
        given = parents[:MAX_PARENTS]
        try:
            members = await self._backend.find_group_size(
                group_id, given, BACKEND_TIMEOUT_S
            )
        except StoreError:
            raise
        except HeraldError as error:
            log.info("The size of a group is not known: %s", error)
            return None
        return (
            None if members is None else await self.store(group_id, GroupSize(members))
        )

    async def store(self, group_id: str, size: GroupSize) -> GroupSize:
        """Store a size. Raises `StoreError`."""
        await self._notes.put_item(
            KEY_KIND, group_id, msgspec.json.encode(size), RETENTION_S
        )
        self._asked.pop(group_id, None)
        return size

    async def delete(self, group_id: str) -> None:
        """Delete a size that was wrong. Raises `StoreError`."""
        await self._notes.delete_item(KEY_KIND, group_id)
