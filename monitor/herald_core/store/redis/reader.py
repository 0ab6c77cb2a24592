"""The read port on Redis: stored records as public views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from herald_core.model.changes import GAP, QUEUE, WORKER
from herald_core.model.documents import Document
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView, find_proven_until
from herald_core.model.tasks.views import STATES
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_core.store.documents import make_document_term
from herald_core.store.records import GAP_TERM, QUEUE_TERM, WORKER_TERM
from herald_core.store.redis.bitmaps import make_chunk_masks, read_bitmap
from herald_core.store.redis.encoding.record_codec import decode_record_body
from herald_core.store.redis.encoding.stored_records import (
    decode_document,
    decode_gap,
    decode_queue,
    decode_worker,
)
from herald_core.store.redis.query.task_reader import RedisTaskReader
from herald_core.store.redis.record_reader import READ_BATCH
from herald_core.store.redis.writer import MONITOR_KIND
from herald_core.system.cooperative_work import iter_in_slices

CHUNK_BATCH = 32
"""Chunks of which the states are read in one step."""

_monitor_decoder = msgspec.msgpack.Decoder(MonitorView)


class RedisReader(RedisTaskReader):
    """The `TaskReader` port on Redis."""

    async def count_by_state(self) -> dict[str, int]:
        stored = await self._client.execute("HMGET", self._keys.counts, *STATES)
        counts = zip(STATES, stored, strict=True)
        return {state: int(n) for state, n in counts if n is not None and int(n) > 0}

    async def list_workers(self, *, now: float) -> list[WorkerView]:
        monitors, hosts = await self._read_ids(
            [
                self._keys.make_values(MONITOR_KIND),
                self._keys.make_index(*WORKER_TERM),
            ]
        )
        # The monitors come first: all events that one read until then are in the
        # records of the workers.
        stored_monitors, stored = await self._read_groups(
            (MONITOR_KIND, monitors), (WORKER, hosts[:READ_BATCH])
        )
        until = find_proven_until(_decode_monitors(stored_monitors), now)
        workers = await _decode_workers(stored, now, until)
        # One part at a time: there may be thousands of workers and several callers.
        for from_ in range(READ_BATCH, len(hosts), READ_BATCH):
            part = hosts[from_ : from_ + READ_BATCH]
            [stored] = await self._read_groups((WORKER, part))
            workers += await _decode_workers(stored, now, until)
        return sorted(workers, key=lambda worker: worker.hostname)

    async def list_gaps(self) -> list[Gap]:
        stored = await self._read_indexed(GAP, self._keys.make_index(*GAP_TERM))
        gaps = [decode_gap(one) for one in stored]
        return sorted(gaps, key=lambda gap: (gap.since, gap.id), reverse=True)

    async def list_monitors(self) -> list[MonitorView]:
        stored = await self._read_indexed(
            MONITOR_KIND, self._keys.make_values(MONITOR_KIND)
        )
        return _decode_monitors(stored)

    async def list_queues(self) -> list[QueueView]:
        stored = await self._read_indexed(QUEUE, self._keys.make_index(*QUEUE_TERM))
        return sorted(
            (decode_queue(one) for one in stored), key=lambda queue: queue.name
        )

    async def list_documents(self, kind: str) -> list[Document]:
        index = self._keys.make_index(*make_document_term(kind))
        stored = await self._read_indexed(kind, index)
        documents = [decode_document(one) for one in stored]
        return sorted(documents, key=lambda document: document.id)

    async def list_groups(self, limit: int) -> list[tuple[str, float]]:
        key = self._keys.make_values("group")
        stored = await self._client.execute(
            "ZREVRANGE", key, 0, limit - 1, "WITHSCORES"
        )
        pairs = zip(stored[::2], stored[1::2], strict=True)
        return [(name.decode(), float(at)) for name, at in pairs]

    async def count_group_by_state(self, group_id: str) -> dict[str, int]:
        key = self._keys.make_sorted_set("group", group_id)
        numbers = await self._client.execute("ZRANGE", key, 0, -1)
        masks = make_chunk_masks(map(int, numbers))
        counts: Counter[str] = Counter()
        chunks = list(masks)
        for from_ in range(0, len(chunks), CHUNK_BATCH):
            part = chunks[from_ : from_ + CHUNK_BATCH]
            for state, chunk, stored in await self._read_state_bitmaps(part):
                counts[state] += (masks[chunk] & read_bitmap(stored)).bit_count()
        return {state: counts[state] for state in STATES if counts[state]}

    async def _read_state_bitmaps(
        self, chunks: Sequence[int]
    ) -> list[tuple[str, int, bytes | None]]:
        """Return the bits of each state and chunk, as they are at one moment."""
        places = [(state, chunk) for chunk in chunks for state in STATES]
        maps = {state: self._keys.make_bitmap("state", state) for state in STATES}
        keys = [f"{maps[state][0]}{chunk}{maps[state][1]}" for state, chunk in places]
        stored = await self._client.execute("MGET", *keys)
        pairs = zip(places, stored, strict=True)
        return [(state, chunk, bits) for (state, chunk), bits in pairs]

    async def list_queue_names(self, since: float) -> list[str]:
        key = self._keys.make_values("queue")
        names = await self._client.execute("ZRANGEBYSCORE", key, repr(since), "+inf")
        return sorted(name.decode() for name in names)


def _decode_monitors(stored: Sequence[bytes]) -> list[MonitorView]:
    # A monitor's record has no head: it is in no log.
    return [decode_record_body(one, _monitor_decoder) for one in stored]


async def _decode_workers(
    stored: Sequence[bytes], now: float, until: float
) -> list[WorkerView]:
    return [decode_worker(one, now, until) async for one in iter_in_slices(stored)]
