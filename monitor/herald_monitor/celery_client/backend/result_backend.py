"""Queries of the result backend: the stored states of tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import Event
from herald_core.system.cooperative_work import TimeSlices
from herald_core.system.large_json import LargeJson
from herald_monitor.celery_client.app.project_modules import close_connections
from herald_monitor.celery_client.backend.access import (
    Answer,
    BackendAccess,
    detect_backend_kind,
)
from herald_monitor.celery_client.backend.connection import (
    BackendUnreachable,
    MetaDecoder,
    get_result_backend,
)
from herald_monitor.celery_client.backend.full_results import (
    StoredResult,
    make_oversized_meta,
    make_stored_result,
)
from herald_monitor.celery_client.backend.group_results import (
    MAX_GROUP_BYTES,
    find_child_size,
    find_size_in_trees,
    get_saved_size,
)
from herald_monitor.celery_client.backend.redis_reader import TaskMeta
from herald_monitor.celery_client.backend.result_pages import (
    ResultPage,
    can_list,
    iter_pages,
)
from herald_monitor.celery_client.backend.task_meta import read_meta

__all__ = ["BackendUnreachable", "ResultBackend", "StoredResult", "detect_backend_kind"]

READ_TIMEOUT_S = 10.0
"""Seconds that one call may take."""

SMALL_PAYLOAD_BYTES = 8_192
"""Bytes of a meta that are looked at on the loop: a few milliseconds, at most."""

MAX_RESULT_BYTES = 4_000_000
"""Bytes of a result that is shown whole."""

PAGE_PAUSE_S = 0.05
"""Seconds between two pages of a search, in which others have the database."""


class ResultBackend(BackendAccess):
    """Answers about results, of whatever kind the backend is."""

    async def read_events(
        self, ids: Sequence[str], within: float = READ_TIMEOUT_S
    ) -> list[Event]:
        """Return the backend's events of the tasks `ids`; none for unknown tasks.

        Invalid results are dropped and counted. Raises `BackendUnreachable`, at the
        latest after `within` seconds; also if the backend is broken, since no task is
        known then.
        """
        if ids and self.kind == "broken":
            raise BackendUnreachable(self._why)
        if not self.can_ask or not ids:
            return []
        if problem := self._options.results_problem:
            raise BackendUnreachable(problem)
        heard = time.time()
        metas = await self._read_metas(list(dict.fromkeys(ids)), within)
        events: list[Event] = []
        turns = TimeSlices()
        for task_id, meta in metas:
            if event := self._to_event(task_id, meta, heard):
                events.append(event)
            await turns.yield_if_due()
        return events

    async def read_full(
        self, task_id: str, most: int = MAX_RESULT_BYTES, within: float = READ_TIMEOUT_S
    ) -> StoredResult | None:
        """Return the complete result of one task, or None if none is stored.

        Of a result of more than `most` bytes only the size is returned. Raises
        `BackendUnreachable` and `InvalidEvent`.
        """

        def look(meta: TaskMeta, size: int | None) -> StoredResult | None:
            return make_stored_result(task_id, meta, size, self._redact)

        return await self.examine(task_id, look, most, within)

    async def examine(
        self,
        task_id: str,
        look: Callable[[TaskMeta, int | None], Answer],
        most: int = MAX_RESULT_BYTES,
        within: float = READ_TIMEOUT_S,
    ) -> Answer | None:
        """Return `look(meta, size)` of one task; None if no result is stored.

        `look` is called on a thread unless the result is small: decoding, redaction and
        encoding of a large one take long. `size` is in bytes, None if the backend does
        not return it. In a meta of more than `most` bytes large values
        are `OversizedValue`, in others they may be `LargeJson`. Raises
        `BackendUnreachable` and `InvalidEvent`.
        """
        if not self.can_ask or not task_id:
            return None
        if self.kind != "redis":
            return await self._examine_other(task_id, look, within)
        size, payload = await self._get_redis_results().read_payload(task_id)
        if not size:
            return None
        payloads = MetaDecoder(get_result_backend(self._app), most, in_pieces=True)

        def read(stored: bytes) -> Answer:
            return look(
                payloads.decode(stored) if stored else make_oversized_meta(size), size
            )

        if 0 < len(payload) <= SMALL_PAYLOAD_BYTES:
            # It need not wait for large ones.
            return read(payload)
        return await self._run_on_thread(read, payload, within)

    async def _examine_other(
        self,
        task_id: str,
        look: Callable[[TaskMeta, int | None], Answer],
        within: float,
    ) -> Answer | None:
        [(_, meta)] = await self._read_singly([task_id], within)
        return await self._run_on_thread(lambda told: look(told, None), meta, within)

    async def find_group_size(
        self, group_id: str, parents: Sequence[str] = (), within: float = READ_TIMEOUT_S
    ) -> int | None:
        """Return the member count of a group, None if the backend does not store it.

        `parents` are tasks that may have started it. Raises `BackendUnreachable`, at
        the latest after `within` seconds, and `InvalidEvent`.
        """
        if not self.can_ask:
            return None
        if self.kind != "redis":
            return await self._find_other_size(group_id, parents, within)
        size, stored = await self._get_redis_results().read_group(
            group_id, MAX_GROUP_BYTES
        )
        if size is None and stored is not None:
            payloads = MetaDecoder(get_result_backend(self._app), MAX_GROUP_BYTES)

            def read(payload: bytes) -> int | None:
                return get_saved_size(payloads.decode(payload), group_id)

            size = await self._run_on_thread(read, stored, within)
        for parent in parents:
            if size is None:
                size = await self._read_size_from_parent(parent, group_id, within)
        return size

    async def _read_size_from_parent(
        self, parent: str, group_id: str, within: float
    ) -> int | None:
        def look(meta: TaskMeta, _size: int | None) -> int | None:
            children = meta.get("children")
            if isinstance(children, LargeJson):
                children = children.decode()
            return find_size_in_trees([children], group_id)

        return await self.examine(parent, look, MAX_GROUP_BYTES, within)

    async def _find_other_size(
        self, group_id: str, parents: Sequence[str], within: float
    ) -> int | None:
        [size] = await self._ask(self._read_saved_group, [group_id], within)
        if size is not None or not parents:
            return size
        metas = await self._read_singly(list(parents), within)
        sizes = (find_child_size(meta, group_id) for _, meta in metas)
        return next((one for one in sizes if one is not None), None)

    def _read_saved_group(self, group_id: str) -> int | None:
        try:
            found = get_result_backend(self._app).restore_group(group_id, cache=False)
            return None if found is None else len(found.results)
        finally:
            close_connections()

    @property
    def can_list(self) -> bool:
        """True if results of tasks that were never heard of can be searched for."""
        if self.kind == "redis":
            return not self._get_redis_results().is_scan_refused
        return self.kind == "other" and can_list(get_result_backend(self._app))

    async def scan_pages(self, since: float = 0.0) -> AsyncGenerator[ResultPage]:
        """Yield the ids of all stored results, in no order, in pages with pauses.

        On a Redis server it scans all keys. Of databases and files it yields tasks that
        ended since a time (unix seconds); nothing elsewhere (see `can_list`). Raises
        `BackendUnreachable`.
        """
        if self.kind == "redis":
            async for scanned in self._get_redis_results().scan_pages():
                yield scanned
        elif self.kind == "other":
            pages = iter_pages(get_result_backend(self._app), since)
            try:
                while (page := await self._read_page(pages)) is not None:
                    yield page
                    await asyncio.sleep(PAGE_PAUSE_S)
            finally:
                # Unless a thread still waits for it.
                with suppress(ValueError):
                    pages.close()

    async def _read_page(self, pages: Iterator[ResultPage]) -> ResultPage | None:
        [page] = await self._ask(self._read_next, [pages], READ_TIMEOUT_S)
        return page

    def _read_next(self, pages: Iterator[ResultPage]) -> ResultPage | None:
        try:
            return next(pages, None)
        finally:
            close_connections()

    def _to_event(self, task_id: str, meta: TaskMeta, heard: float) -> Event | None:
        try:
            return read_meta(meta, task_id, heard, self._redact)
        except InvalidEvent as error:
            self._count_rejected(error)
            return None
