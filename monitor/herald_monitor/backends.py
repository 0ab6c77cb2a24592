"""The result backend, asked: what became of these tasks?"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence

from herald_monitor.backend_access import Answer, BackendAccess, kind_of
from herald_monitor.backend_link import (
    BackendUnreachable,
    Payloads,
    backend_of,
)
from herald_monitor.backend_records import find_newest
from herald_monitor.errors import BadEvent
from herald_monitor.full_results import FullResult, make_full, too_large
from herald_monitor.group_results import MOST_BYTES, child_size, saved_size, size_in
from herald_monitor.large_json import LargeJson
from herald_monitor.meta import read_meta
from herald_monitor.model.events import Event
from herald_monitor.project_modules import close_connections
from herald_monitor.redis_results import Meta
from herald_monitor.turns import Turns

__all__ = ["BackendUnreachable", "FullResult", "ResultBackend", "kind_of"]

WITHIN = 10.0
"""Seconds that one call may take."""

SMALL_PAYLOAD = 8_192
"""Bytes of a meta that are looked at on the loop: a few milliseconds, at most."""

MOST_SHOWN = 4_000_000
"""Bytes of a result that is shown whole."""

MOST_FOUND = 20_000
"""Tasks of a database or a folder of files that are looked at for those unheard of."""


class ResultBackend(BackendAccess):
    """Answers about results, of whatever kind the backend is."""

    async def read(self, ids: Sequence[str], within: float = WITHIN) -> list[Event]:
        """Return what the backend knows of the tasks `ids`; of some, nothing.

        What cannot be read is left out and counted. Raises `BackendUnreachable`,
        at the latest after `within` seconds; also where the backend is broken, for
        then nothing is known of any task.
        """
        if ids and self.kind == "broken":
            raise BackendUnreachable(self._why)
        if not self.can_ask or not ids:
            return []
        if problem := self._options.results_problem:
            raise BackendUnreachable(problem)
        heard = time.time()
        metas = await self._metas(list(dict.fromkeys(ids)), within)
        events: list[Event] = []
        turns = Turns()
        for task_id, meta in metas:
            if event := self._event(task_id, meta, heard):
                events.append(event)
            await turns.take()
        return events

    async def full(
        self, task_id: str, most: int = MOST_SHOWN, within: float = WITHIN
    ) -> FullResult | None:
        """Return all that is kept of one task, or None if nothing is.

        A result of more than `most` bytes is only measured. Raises
        `BackendUnreachable` and `BadEvent`.
        """

        def look(meta: Meta, size: int | None) -> FullResult | None:
            return make_full(task_id, meta, size, self._redact)

        return await self.examine(task_id, look, most, within)

    async def examine(
        self,
        task_id: str,
        look: Callable[[Meta, int | None], Answer],
        most: int = MOST_SHOWN,
        within: float = WITHIN,
    ) -> Answer | None:
        """Return what `look(meta, size)` makes of one task; None if nothing is kept.

        `look` is called on a thread unless little is kept: what a task returned may
        take long to read, to redact and to write down. `size` is in bytes, None if
        the backend does not tell. In a meta of more than `most` bytes large values
        are `Unread`, in others they may be `LargeJson`. Raises `BackendUnreachable`
        and `BadEvent`.
        """
        if not self.can_ask or not task_id:
            return None
        if self.kind != "redis":
            return await self._examine_other(task_id, look, within)
        size, payload = await self._results().payload(task_id)
        if not size:
            return None
        payloads = Payloads(backend_of(self._app), most, in_pieces=True)

        def read(stored: bytes) -> Answer:
            return look(payloads.read(stored) if stored else too_large(size), size)

        if 0 < len(payload) <= SMALL_PAYLOAD:
            # It need not wait for large ones.
            return read(payload)
        return await self._look_at(read, payload, within)

    async def _examine_other(
        self,
        task_id: str,
        look: Callable[[Meta, int | None], Answer],
        within: float,
    ) -> Answer | None:
        [(_, meta)] = await self._one_by_one([task_id], within)
        return await self._look_at(lambda told: look(told, None), meta, within)

    async def group_size(
        self, group_id: str, parents: Sequence[str] = (), within: float = WITHIN
    ) -> int | None:
        """Return how many members a group has, None if the backend does not tell.

        `parents` are tasks that may have started it. Raises `BackendUnreachable`, at
        the latest after `within` seconds, and `BadEvent`.
        """
        if not self.can_ask:
            return None
        if self.kind != "redis":
            return await self._other_size(group_id, parents, within)
        size, stored = await self._results().group(group_id, MOST_BYTES)
        if size is None and stored is not None:
            payloads = Payloads(backend_of(self._app), MOST_BYTES)

            def read(payload: bytes) -> int | None:
                return saved_size(payloads.read(payload), group_id)

            size = await self._look_at(read, stored, within)
        for parent in parents:
            if size is None:
                size = await self._size_told_by(parent, group_id, within)
        return size

    async def _size_told_by(
        self, parent: str, group_id: str, within: float
    ) -> int | None:
        def look(meta: Meta, _size: int | None) -> int | None:
            children = meta.get("children")
            if isinstance(children, LargeJson):
                children = children.value()
            return size_in([children], group_id)

        return await self.examine(parent, look, MOST_BYTES, within)

    async def _other_size(
        self, group_id: str, parents: Sequence[str], within: float
    ) -> int | None:
        [size] = await self._ask(self._saved_group, [group_id], within)
        if size is not None or not parents:
            return size
        metas = await self._one_by_one(list(parents), within)
        sizes = (child_size(meta, group_id) for _, meta in metas)
        return next((one for one in sizes if one is not None), None)

    def _saved_group(self, group_id: str) -> int | None:
        try:
            found = backend_of(self._app).restore_group(group_id, cache=False)
            return None if found is None else len(found.results)
        finally:
            close_connections()

    async def find(self, since: float = 0.0) -> AsyncGenerator[list[str]]:
        """Yield ids of tasks that the backend knows, in no order.

        Goes through all keys of a Redis server, with pauses. Of databases and files
        those of tasks that ended since a time (unix seconds), the newest `MOST_FOUND`
        at most; nothing elsewhere. Raises `BackendUnreachable`.
        """
        if self.kind == "redis":
            async for ids in self._results().find():
                yield ids
        elif self.kind == "other":
            [ids] = await self._ask(self._find_newest, [(since, MOST_FOUND)], WITHIN)
            yield ids

    def _find_newest(self, wanted: tuple[float, int]) -> list[str]:
        try:
            return find_newest(backend_of(self._app), *wanted)
        finally:
            close_connections()

    def _event(self, task_id: str, meta: Meta, heard: float) -> Event | None:
        try:
            return read_meta(meta, task_id, heard, self._redact)
        except BadEvent as error:
            self._set_aside(error)
            return None
