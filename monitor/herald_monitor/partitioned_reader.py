"""Reader over the readers of all partitions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from herald_monitor.model.filters import Filter
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.rollups import Rollup, summed
from herald_monitor.model.shape import AttemptImage, TaskImage
from herald_monitor.model.workers import WorkerImage
from herald_monitor.partitioned_pages import ENDED, Merge, read_tokens
from herald_monitor.partitions import FIRST, part_of
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import Gap, Memory, MonitorImage, Page

Image = TypeVar("Image", TaskImage, WorkerImage, QueueImage, Gap)


def marked(image: Image, part: int) -> Image:
    """Return `image` with a rev that names its partition."""
    if not image.rev:
        return image
    cursor, _, number = image.rev.partition(".")
    return msgspec.structs.replace(image, rev=f"{cursor}~{part}.{number}")


class PartitionedReader:
    """The `Reader` port over `parts`."""

    def __init__(self, parts: Sequence[RedisStore]) -> None:
        self._parts = parts

    def _home(self, task_id: str) -> int:
        return part_of(task_id, len(self._parts))

    async def task(self, task_id: str) -> TaskImage:
        home = self._home(task_id)
        return marked(await self._parts[home].task(task_id), home)

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        return await self._parts[self._home(task_id)].attempts(task_id)

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(self._home(id_), []).append(id_)
        found = await asyncio.gather(
            *(self._parts[part].tasks(some) for part, some in split.items())
        )
        known = {
            task.id: marked(task, part)
            for part, tasks in zip(split, found, strict=True)
            for task in tasks
            if task is not None
        }
        return [known.get(id_) for id_ in ids]

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> Page:
        tokens = read_tokens(page, len(self._parts))
        merge = Merge(len(tokens), max(limit, 1))
        asked = [part for part, token in enumerate(tokens) if token != ENDED]

        async def ask(part: int) -> None:
            store = self._parts[part]
            got = await store.page(
                filter_, limit=limit, page=tokens[part], after=after, before=before
            )
            tasks = [marked(task, part) for task in got.tasks]
            merge.add(part, tasks, await store.spots([t.id for t in tasks]), got.next)

        await asyncio.gather(*(ask(part) for part in asked))
        return merge.page()

    # -- counts ------------------------------------------------------------------

    async def count(self, filter_: Filter, most: int) -> int:
        counted = [part.count(filter_, most) for part in self._parts]
        return sum(await asyncio.gather(*counted))

    async def counts(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for one in await asyncio.gather(*(part.counts() for part in self._parts)):
            total.update(one)
        return dict(total)

    async def rollups(
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
                part.rollups(since, until, name=name, queue=queue, parts=parts)
                for part in self._parts
            )
        )
        minutes: dict[int, list[Rollup]] = {}
        for minute in chain.from_iterable(found):
            minutes.setdefault(minute.at, []).append(minute)
        return [summed(minutes[at]) for at in sorted(minutes)]

    # -- what is no task -------------------------------------------------------------

    async def workers(self, *, now: float) -> list[WorkerImage]:
        found = await self._parts[FIRST].workers(now=now)
        return [marked(worker, FIRST) for worker in found]

    async def gaps(self) -> list[Gap]:
        return [marked(gap, FIRST) for gap in await self._parts[FIRST].gaps()]

    async def memory(self) -> list[Memory]:
        told = await asyncio.gather(*(part.memory() for part in self._parts))
        found = {one.id: one for some in told for one in some}
        return list(found.values())

    async def queues(self) -> list[QueueImage]:
        return [marked(queue, FIRST) for queue in await self._parts[FIRST].queues()]

    async def groups(self, limit: int) -> list[tuple[str, float]]:
        newest: dict[str, float] = {}
        told = await asyncio.gather(*(part.groups(limit) for part in self._parts))
        for name, at in chain.from_iterable(told):
            newest[name] = max(at, newest.get(name, at))
        pairs = sorted(newest.items(), key=lambda pair: pair[1], reverse=True)
        return pairs[:limit]

    async def group_counts(self, group_id: str) -> dict[str, int]:
        total: Counter[str] = Counter()
        told = (part.group_counts(group_id) for part in self._parts)
        for one in await asyncio.gather(*told):
            total.update(one)
        return dict(total)

    async def registered(self, ids: Sequence[str]) -> set[str]:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(self._home(id_), []).append(id_)
        told = (self._parts[part].registered(some) for part, some in split.items())
        return {*chain.from_iterable(await asyncio.gather(*told))}

    async def queue_names(self, since: float) -> list[str]:
        named = [part.queue_names(since) for part in self._parts]
        return sorted({*chain.from_iterable(await asyncio.gather(*named))})

    async def monitors(self) -> list[MonitorImage]:
        return await self._parts[FIRST].monitors()
