"""Reader on Redis: what is stored, as it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_monitor.batch import GAPS, WORKERS
from herald_monitor.model.changes import GAP, TASK, WORKER
from herald_monitor.model.filters import Filter
from herald_monitor.model.keys import Keys
from herald_monitor.model.reading import attempts
from herald_monitor.model.shape import (
    EXPIRED,
    STATES,
    UNKNOWN,
    AttemptImage,
    TaskImage,
)
from herald_monitor.model.workers import WorkerImage
from herald_monitor.paging import Spot, read_token, write_token
from herald_monitor.redis_link import Link
from herald_monitor.redis_pages import Group, Span, Walk, groups_of, members
from herald_monitor.redis_records import (
    first_of,
    gap_of,
    image_of,
    task_of,
    worker_of,
)
from herald_monitor.redis_writer import MONITOR
from herald_monitor.store import Gap, MonitorImage, Page

READ = 250
"""Records that are read at once."""

EFFORT = 4_000
"""Spots of a walk that one page looks at; then it is handed out as it is."""

INTERSECTED = 100_000
"""Tasks that Redis goes through for one count at most: it answers nobody else then."""

_monitor = msgspec.msgpack.Decoder(MonitorImage)


class RedisReader:
    """The `Reader` port on Redis."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def task(self, task_id: str) -> TaskImage:
        keys = self._keys
        stored, gone, due = await self._link.calls(
            [
                ("GET", keys.record(TASK, task_id)),
                ("ZSCORE", keys.gone, task_id),
                ("ZSCORE", keys.due, task_id),
            ],
            atomic=True,
        )
        if stored is not None:
            return image_of(stored)
        known = gone is not None or due is not None
        return TaskImage(id=task_id, state=EXPIRED if known else UNKNOWN)

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        stored = await self._link.call("GET", self._keys.record(TASK, task_id))
        return [] if stored is None else attempts(task_of(stored))

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        found: list[TaskImage | None] = []
        for from_ in range(0, len(ids), READ):
            stored = await self._stored(TASK, ids[from_ : from_ + READ])
            found += [image_of(one) if one else None for one in stored]
        return found

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> Page:
        last = read_token(page) if page is not None else None
        span = Span(
            float("-inf") if after is None else after * 1000,
            float("inf") if before is None else before * 1000,
        )
        walked, *others = await groups_of(self._link, self._keys, filter_)
        fixed = await self._spots(walked.ids)
        walk = Walk(self._link, walked.indexes, span, last, fixed)
        return await self._fill(filter_, walk, others, last, max(limit, 1))

    async def _fill(
        self,
        filter_: Filter,
        walk: Walk,
        others: Sequence[Group],
        last: Spot | None,
        limit: int,
    ) -> Page:
        tasks: list[TaskImage] = []
        effort, ended = 0, False
        while not ended and effort < EFFORT:
            met, ended = await walk.next()
            effort += len(met)
            left = await members(self._link, met, others)
            while left:
                room = limit - len(tasks)
                part, left = left[:room], left[room:]
                found = await self.tasks([spot.id for spot in part])
                tasks += [task for task in found if task and filter_.matches(task)]
                if len(tasks) == limit:
                    done = ended and not left
                    return Page(tuple(tasks), None if done else write_token(part[-1]))
            last = met[-1] if met else last
        return Page(tuple(tasks), None if ended or not last else write_token(last))

    async def _spots(self, ids: Sequence[str]) -> list[Spot]:
        """Return the spots of those of `ids` that are stored."""
        heads = await self._link.calls(
            [("GETRANGE", self._keys.record(TASK, id_), 0, HEAD) for id_ in ids]
        )
        pairs = zip(ids, heads, strict=True)
        return [Spot(first_of(head), id_) for id_, head in pairs if head]

    async def count(self, filter_: Filter, most: int) -> int:
        groups = await groups_of(self._link, self._keys, filter_)
        smallest = groups[0]
        if smallest.ids or smallest.key == "tag":
            return await self._counted(smallest, most)
        single = len(groups) > 1 and all(len(g.indexes) == 1 for g in groups)
        if single and smallest.size <= INTERSECTED:
            indexes = [group.indexes[0] for group in groups]
            limit = ("LIMIT", most + 1)
            return int(
                await self._link.call("ZINTERCARD", len(indexes), *indexes, *limit)
            )
        return smallest.size

    async def _counted(self, group: Group, most: int) -> int:
        """Count tasks that may be in several indexes of a group, or in none."""
        ids = group.ids
        if group.key == "root":
            found = [task for task in await self.tasks(ids) if task]
            ids = tuple(t.id for t in found if (t.root_id or t.id) == t.id)
        fixed = await self._spots(ids)
        walk = Walk(self._link, group.indexes, Span(), None, fixed)
        count, ended = 0, False
        while not ended and count <= most:
            met, ended = await walk.next()
            count += len(met)
        return count

    async def counts(self) -> dict[str, int]:
        indexes = [self._keys.index("state", state) for state in STATES]
        counted = await self._link.calls([("ZCARD", i) for i in indexes], atomic=True)
        return {s: int(n) for s, n in zip(STATES, counted, strict=True) if n}

    async def workers(self, *, now: float) -> list[WorkerImage]:
        stored = await self._records(WORKER, self._keys.index(*WORKERS))
        images = [worker_of(one, now) for one in stored]
        return sorted(images, key=lambda worker: worker.hostname)

    async def gaps(self) -> list[Gap]:
        stored = await self._records(GAP, self._keys.index(*GAPS))
        gaps = [gap_of(one) for one in stored]
        return sorted(gaps, key=lambda gap: (gap.since, gap.id), reverse=True)

    async def monitors(self) -> list[MonitorImage]:
        stored = await self._records(MONITOR, self._keys.values(MONITOR))
        # A monitor's record has no head: it is in no log.
        return [_monitor.decode(one[1:]) for one in stored]

    async def _records(self, kind: str, index: str) -> list[bytes]:
        ids = [id_.decode() for id_ in await self._link.call("ZRANGE", index, 0, -1)]
        stored: list[bytes] = []
        for from_ in range(0, len(ids), READ):
            found = await self._stored(kind, ids[from_ : from_ + READ])
            stored += [one for one in found if one is not None]
        return stored

    async def _stored(self, kind: str, ids: Sequence[str]) -> list[bytes | None]:
        if not ids:
            return []
        found: list[bytes | None] = await self._link.call(
            "MGET", *(self._keys.record(kind, id_) for id_ in ids)
        )
        return found


HEAD = 80
"""Bytes that the head of a record fits in."""
