"""Reader on Redis: what is stored, as it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec

from herald_monitor.batch import GAPS, QUEUES, WORKERS
from herald_monitor.model.changes import GAP, QUEUE, TASK, WORKER
from herald_monitor.model.facts import is_group_registered
from herald_monitor.model.filters import Filter
from herald_monitor.model.keys import Keys
from herald_monitor.model.numbers import (
    CHUNK,
    SEGMENT,
    mask_of,
    masks_of_numbers,
    places_in,
)
from herald_monitor.model.queues import QueueImage
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
from herald_monitor.records import HEAD, read_head, unpack_body
from herald_monitor.redis_link import Link
from herald_monitor.redis_pages import (
    EFFORT,
    Span,
    Walk,
    groups_of,
    numbers_of,
)
from herald_monitor.redis_records import (
    gap_of,
    headed_image,
    image_of,
    queue_of,
    task_of,
    worker_of,
)
from herald_monitor.redis_writer import MONITOR
from herald_monitor.store import Gap, MonitorImage, Page, proven_until
from herald_monitor.turns import Turns, by_turns

CHUNKS_AT_ONCE = 32
"""Chunks of which the states are read in one step."""

READ = 250
"""Records that are read at once."""

PAGE_SIZE = 2_000_000
"""Characters of tasks after which a page ends, however few are on it."""

LEAST = 500
"""Characters of a task without any texts."""

LOOKED_AT = 1_000
"""Tasks that one page looks at, 25 µs each; then it is handed out as it is."""

_monitor = msgspec.msgpack.Decoder(MonitorImage)


class RedisReader:
    """The `Reader` port on Redis."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def task(self, task_id: str) -> TaskImage:
        keys = self._keys
        stored, gone = await self._link.calls(
            [
                ("GET", keys.record(TASK, task_id)),
                ("ZSCORE", keys.gone, task_id),
            ],
            atomic=True,
        )
        if stored is not None:
            return image_of(stored)
        state = UNKNOWN if gone is None else EXPIRED
        return TaskImage(id=task_id, state=state)

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        stored = await self._link.call("GET", self._keys.record(TASK, task_id))
        return [] if stored is None else attempts(task_of(stored))

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        found: list[TaskImage | None] = []
        turns = Turns()
        for from_ in range(0, len(ids), READ):
            for one in await self._stored(TASK, ids[from_ : from_ + READ]):
                found.append(image_of(one) if one else None)
                await turns.take()
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
        groups = await groups_of(self._link, self._keys, filter_)
        walk = Walk(self._link, self._keys, groups, span, last)
        return await self._fill(filter_, walk, span, max(limit, 1))

    async def _fill(self, filter_: Filter, walk: Walk, span: Span, limit: int) -> Page:
        tasks: list[TaskImage] = []
        seen, size, last = 0, 0, None
        async for chunk, mask in walk.masks():
            places = list(places_in(mask))
            while places:
                room = min(limit - len(tasks), READ)
                part, places = places[:room], places[room:]
                numbers = [chunk * CHUNK + place for place in part]
                found, read = await self._numbered(numbers, span)
                tasks += [task for task in found if filter_.matches(task)]
                seen, size, last = seen + len(part), size + read, numbers[-1]
                if len(tasks) == limit or seen >= LOOKED_AT or size >= PAGE_SIZE:
                    return Page(tuple(tasks), write_token(last))
            last = chunk * CHUNK
            if walk.effort >= EFFORT:
                return Page(tuple(tasks), write_token(last))
        return Page(tuple(tasks))

    async def spots(self, ids: Sequence[str]) -> list[Spot]:
        """Return the places in pages of those of `ids` that are stored."""
        heads = await self._link.calls(
            [("GETRANGE", self._keys.record(TASK, id_), 0, HEAD) for id_ in ids]
        )
        told = [
            (id_, read_head(head.partition(b"\n")[0]))
            for id_, head in zip(ids, heads, strict=True)
            if head
        ]
        return [Spot(id_, h.number, float(h.first)) for id_, h in told]

    async def _numbered(
        self, numbers: Sequence[int], span: Span
    ) -> tuple[list[TaskImage], int]:
        """Return the tasks of `numbers` that are stored and lie in `span`.

        The second is the size of what was read, in characters.
        """
        ids = await self._ids(numbers)
        found: list[TaskImage] = []
        size, turns = 0, Turns()
        stored = await self._stored(TASK, [id_ for _, id_ in ids])
        for (number, _), one in zip(ids, stored, strict=True):
            if one is not None:
                head, image = headed_image(one)
                size += _size(image)
                # Another number: it was forgotten and heard of again.
                if head.number == number and span.holds(float(head.first)):
                    found.append(image)
                await turns.take()
        return found, size

    async def _ids(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Return those of `numbers` that are in use, each with its id."""
        places: dict[int, list[int]] = {}
        for number in numbers:
            places.setdefault(number // SEGMENT, []).append(number % SEGMENT)
        replies = await self._link.calls(
            [("HMGET", self._keys.segment(s), *of) for s, of in places.items()]
        )
        return [
            (segment * SEGMENT + place, id_.decode())
            for (segment, of), ids in zip(places.items(), replies, strict=True)
            for place, id_ in zip(of, ids, strict=True)
            if id_ is not None
        ]

    async def count(self, filter_: Filter, most: int) -> int:
        groups = await groups_of(self._link, self._keys, filter_)
        roots = next((g for g in groups if g.key == "root"), None)
        if roots is not None:
            roots.fixed = await self._rooted(filter_.root or ())
        walk = Walk(self._link, self._keys, groups, Span(), None)
        count = 0
        async for _, mask in walk.masks():
            count += mask.bit_count()
            if count > most:
                break
        return count

    async def _rooted(self, ids: Sequence[str]) -> dict[int, int]:
        """Return the masks of those of `ids` that are roots themselves, by chunk."""
        found = [task for task in await self.tasks(ids) if task]
        own = [task.id for task in found if (task.root_id or task.id) == task.id]
        return await numbers_of(self._link, self._keys, own)

    async def counts(self) -> dict[str, int]:
        counted = await self._link.call("HMGET", self._keys.counts, *STATES)
        told = zip(STATES, counted, strict=True)
        return {state: int(n) for state, n in told if n is not None and int(n) > 0}

    async def workers(self, *, now: float) -> list[WorkerImage]:
        # First: what a monitor read until then is in the records.
        until = proven_until(await self.monitors(), now)
        images: list[WorkerImage] = []
        # Part by part: there may be thousands, and several who ask at a time.
        async for stored in self._by_parts(WORKER, self._keys.index(*WORKERS)):
            images += [worker_of(one, now, until) async for one in by_turns(stored)]
        return sorted(images, key=lambda worker: worker.hostname)

    async def gaps(self) -> list[Gap]:
        stored = await self._records(GAP, self._keys.index(*GAPS))
        gaps = [gap_of(one) for one in stored]
        return sorted(gaps, key=lambda gap: (gap.since, gap.id), reverse=True)

    async def monitors(self) -> list[MonitorImage]:
        stored = await self._records(MONITOR, self._keys.values(MONITOR))
        # A monitor's record has no head: it is in no log.
        return [unpack_body(one, _monitor) for one in stored]

    async def queues(self) -> list[QueueImage]:
        stored = await self._records(QUEUE, self._keys.index(*QUEUES))
        return sorted((queue_of(one) for one in stored), key=lambda queue: queue.name)

    async def groups(self, limit: int) -> list[tuple[str, float]]:
        listed = self._keys.values("group")
        found = await self._link.call("ZREVRANGE", listed, 0, limit - 1, "WITHSCORES")
        pairs = zip(found[::2], found[1::2], strict=True)
        return [(name.decode(), float(at)) for name, at in pairs]

    async def group_counts(self, group_id: str) -> dict[str, int]:
        listed = await self._link.call(
            "ZRANGE", self._keys.listing("group", group_id), 0, -1
        )
        masks = masks_of_numbers(map(int, listed))
        counts: Counter[str] = Counter()
        chunks = list(masks)
        for from_ in range(0, len(chunks), CHUNKS_AT_ONCE):
            part = chunks[from_ : from_ + CHUNKS_AT_ONCE]
            for state, chunk, stored in await self._states_in(part):
                counts[state] += (masks[chunk] & mask_of(stored)).bit_count()
        return {state: counts[state] for state in STATES if counts[state]}

    async def _states_in(
        self, chunks: Sequence[int]
    ) -> list[tuple[str, int, bytes | None]]:
        """Return the bits of each state and chunk, as they are at one moment."""
        asked = [(state, chunk) for chunk in chunks for state in STATES]
        maps = {state: self._keys.map("state", state) for state in STATES}
        keys = [f"{maps[state][0]}{chunk}{maps[state][1]}" for state, chunk in asked]
        stored = await self._link.call("MGET", *keys)
        pairs = zip(asked, stored, strict=True)
        return [(state, chunk, bits) for (state, chunk), bits in pairs]

    async def registered(self, ids: Sequence[str]) -> set[str]:
        stored = await self._stored(TASK, ids)
        tasks = [task_of(one) for one in stored if one is not None]
        return {task.id for task in tasks if is_group_registered(task.facts)}

    async def queue_names(self, since: float) -> list[str]:
        listed = self._keys.values("queue")
        found = await self._link.call("ZRANGEBYSCORE", listed, repr(since), "+inf")
        return sorted(name.decode() for name in found)

    async def _records(self, kind: str, index: str) -> list[bytes]:
        return [one async for part in self._by_parts(kind, index) for one in part]

    async def _by_parts(self, kind: str, index: str) -> AsyncIterator[list[bytes]]:
        ids = [id_.decode() for id_ in await self._link.call("ZRANGE", index, 0, -1)]
        for from_ in range(0, len(ids), READ):
            found = await self._stored(kind, ids[from_ : from_ + READ])
            yield [one for one in found if one is not None]

    async def _stored(self, kind: str, ids: Sequence[str]) -> list[bytes | None]:
        if not ids:
            return []
        found: list[bytes | None] = await self._link.call(
            "MGET", *(self._keys.record(kind, id_) for id_ in ids)
        )
        return found


def _size(task: TaskImage) -> int:
    """Return about how many characters `task` is."""
    texts = (task.args, task.kwargs, task.result, task.exception, task.traceback)
    return LEAST + sum([len(text) for text in texts if text])
