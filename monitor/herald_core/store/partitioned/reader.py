"""Reader over the readers of all partitions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from herald_core.model.documents import Document
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.queries.needles import Needle
from herald_core.model.rollups.failure_rollup import (
    FailureRollup,
    merge_failure_rollups,
)
from herald_core.model.rollups.rollup import Rollup, merge_rollups
from herald_core.model.tasks.views import AttemptView, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_core.store.partitioned.page_merge import END_TOKEN, PageMerge, decode_tokens
from herald_core.store.partitioned.routing import HOME_PARTITION, find_partition
from herald_core.store.ports import SCAN_STEP_TASKS
from herald_core.store.redis.store import RedisStore
from herald_core.store.task_counters import TaskCounter, merge_task_counters
from herald_core.store.types import ScanStep, ServerMemory, TaskPage

Image = TypeVar("Image", TaskView, WorkerView, QueueView, Gap, Document)


def with_partition(image: Image, part: int) -> Image:
    """Return `image` with a rev that names its partition."""
    if not image.rev:
        return image
    cursor, _, number = image.rev.partition(".")
    return msgspec.structs.replace(image, rev=f"{cursor}~{part}.{number}")


class PartitionedReader:
    """The `TaskReader` port over `parts`."""

    def __init__(self, parts: Sequence[RedisStore]) -> None:
        self._parts = parts

    def _find_partition(self, task_id: str) -> int:
        return find_partition(task_id, len(self._parts))

    async def get_task(self, task_id: str) -> TaskView:
        home = self._find_partition(task_id)
        return with_partition(await self._parts[home].get_task(task_id), home)

    async def list_attempts(self, task_id: str) -> Sequence[AttemptView]:
        return await self._parts[self._find_partition(task_id)].list_attempts(task_id)

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(self._find_partition(id_), []).append(id_)
        found = await asyncio.gather(
            *(self._parts[part].get_tasks(some) for part, some in split.items())
        )
        known = {
            task.id: with_partition(task, part)
            for part, tasks in zip(split, found, strict=True)
            for task in tasks
            if task is not None
        }
        return [known.get(id_) for id_ in ids]

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        tokens = decode_tokens(page, len(self._parts))
        merge = PageMerge(len(tokens), max(limit, 1))
        open_parts = [part for part, token in enumerate(tokens) if token != END_TOKEN]

        async def ask(part: int) -> None:
            store = self._parts[part]
            got = await store.list_tasks(
                filter_, limit=limit, page=tokens[part], after=after, before=before
            )
            tasks = [with_partition(task, part) for task in got.tasks]
            merge.add(
                part, tasks, await store.find_positions([t.id for t in tasks]), got.next
            )

        await asyncio.gather(*(ask(part) for part in open_parts))
        return merge.make_page()

    async def scan_tasks(
        self,
        filter_: Filter,
        needles: Sequence[Needle],
        accept: Callable[[TaskView], bool],
        *,
        limit: int = 100,
        max_searched: int = SCAN_STEP_TASKS,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> ScanStep:
        tokens = decode_tokens(page, len(self._parts))
        merge = PageMerge(len(tokens), max(limit, 1))
        open_parts = [part for part, token in enumerate(tokens) if token != END_TOKEN]
        share = max(max_searched // max(len(open_parts), 1), 1)

        async def scan(part: int) -> int:
            store = self._parts[part]
            got = await store.scan_tasks(
                filter_,
                needles,
                accept,
                limit=limit,
                max_searched=share,
                page=tokens[part],
                after=after,
                before=before,
            )
            tasks = [with_partition(task, part) for task in got.tasks]
            ids = [task.id for task in tasks]
            merge.add(part, tasks, await store.find_positions(ids), got.next)
            return got.searched

        searched = sum(await asyncio.gather(*map(scan, open_parts)))
        page_ = merge.make_page()
        return ScanStep(page_.tasks, searched, page_.next)

    # -- counts ------------------------------------------------------------------

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        counted = [
            part.count_tasks(filter_, limit, after=after, before=before)
            for part in self._parts
        ]
        return sum(await asyncio.gather(*counted))

    async def count_by_state(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for one in await asyncio.gather(
            *(part.count_by_state() for part in self._parts)
        ):
            total.update(one)
        return dict(total)

    async def read_rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        found = await asyncio.gather(
            *(
                part.read_rollups(since, until, name=name, queue=queue, parts=parts)
                for part in self._parts
            )
        )
        minutes: dict[int, list[Rollup]] = {}
        for minute in chain.from_iterable(found):
            minutes.setdefault(minute.at, []).append(minute)
        return [merge_rollups(minutes[at]) for at in sorted(minutes)]

    async def read_failure_rollups(
        self, since: float, until: float
    ) -> list[FailureRollup]:
        found = await asyncio.gather(
            *(part.read_failure_rollups(since, until) for part in self._parts)
        )
        minutes: dict[int, list[FailureRollup]] = {}
        for minute in chain.from_iterable(found):
            minutes.setdefault(minute.at, []).append(minute)
        return [merge_failure_rollups(minutes[at]) for at in sorted(minutes)]

    async def read_task_counters(self) -> list[TaskCounter]:
        found = await asyncio.gather(
            *(part.read_task_counters() for part in self._parts)
        )
        return merge_task_counters(chain.from_iterable(found))

    # -- other records ----------------------------------------------------------------

    async def list_workers(self, *, now: float) -> list[WorkerView]:
        found = await self._parts[HOME_PARTITION].list_workers(now=now)
        return [with_partition(worker, HOME_PARTITION) for worker in found]

    async def list_gaps(self) -> list[Gap]:
        return [
            with_partition(gap, HOME_PARTITION)
            for gap in await self._parts[HOME_PARTITION].list_gaps()
        ]

    async def read_server_memory(self) -> list[ServerMemory]:
        servers = await asyncio.gather(
            *(part.read_server_memory() for part in self._parts)
        )
        found = {one.id: one for some in servers for one in some}
        return list(found.values())

    async def list_queues(self) -> list[QueueView]:
        return [
            with_partition(queue, HOME_PARTITION)
            for queue in await self._parts[HOME_PARTITION].list_queues()
        ]

    async def list_documents(self, kind: str) -> list[Document]:
        return [
            with_partition(document, HOME_PARTITION)
            for document in await self._parts[HOME_PARTITION].list_documents(kind)
        ]

    async def list_groups(self, limit: int) -> list[tuple[str, float]]:
        newest: dict[str, float] = {}
        groups = await asyncio.gather(
            *(part.list_groups(limit) for part in self._parts)
        )
        for name, at in chain.from_iterable(groups):
            newest[name] = max(at, newest.get(name, at))
        pairs = sorted(newest.items(), key=lambda pair: pair[1], reverse=True)
        return pairs[:limit]

    async def count_group_by_state(self, group_id: str) -> dict[str, int]:
        total: Counter[str] = Counter()
        counts = (part.count_group_by_state(group_id) for part in self._parts)
        for one in await asyncio.gather(*counts):
            total.update(one)
        return dict(total)

    async def find_registered(self, ids: Sequence[str]) -> set[str]:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(self._find_partition(id_), []).append(id_)
        registered = (
            self._parts[part].find_registered(some) for part, some in split.items()
        )
        return {*chain.from_iterable(await asyncio.gather(*registered))}

    async def list_queue_names(self, since: float) -> list[str]:
        named = [part.list_queue_names(since) for part in self._parts]
        return sorted({*chain.from_iterable(await asyncio.gather(*named))})

    async def list_monitors(self) -> list[MonitorView]:
        return await self._parts[HOME_PARTITION].list_monitors()
