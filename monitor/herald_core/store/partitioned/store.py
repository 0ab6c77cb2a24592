"""One store in several partitions, each of them a `RedisStore` of its own.

On a Redis Cluster every partition lies on one node, so the work of storing and
publishing spreads over the nodes. A change of one task is still one atomic step, since
a task is in one partition. A batch is one step in each partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain

from herald_core.model.documents import DocumentUpdate
from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.vector_cursor import VectorCursor
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker_record import Worker
from herald_core.store.partitioned.change_log import PartitionedLog
from herald_core.store.partitioned.reader import PartitionedReader
from herald_core.store.partitioned.routing import HOME_PARTITION, find_partition
from herald_core.store.redis.store import RedisStore
from herald_core.store.types import WriteResult


class PartitionedStore(PartitionedReader, PartitionedLog):
    """Writer, Reader, Log and Notes over `parts`."""

    def __init__(self, parts: Sequence[RedisStore]) -> None:
        PartitionedReader.__init__(self, parts)
        PartitionedLog.__init__(self, parts)
        self._stores = tuple(parts)
        self._head = parts[HOME_PARTITION]
        self._known: VectorCursor | None = None

    @property
    def warnings(self) -> list[str]:
        """Recommended changes of the servers' configuration, known once the store is
        open.
        """
        return list(dict.fromkeys(chain(*(part.warnings for part in self._stores))))

    async def open(self) -> None:
        """Connect to every partition. Raises `StoreError`, and then holds none."""
        try:
            async with asyncio.TaskGroup() as opening:
                for part in self._stores:
                    opening.create_task(part.open())
        except BaseExceptionGroup as group:
            await self.close()
            raise group.exceptions[0] from None

    async def close(self) -> None:
        """Close all connections."""
        await self.stop_reading()
        for part in self._stores:
            await part.close()

    # -- Writer ----------------------------------------------------------------------

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        split: dict[int, list[Event]] = {HOME_PARTITION: []} if workers else {}
        for event in events:
            home = find_partition(event.task_id, len(self._stores))
            split.setdefault(home, []).append(event)
        stored = await asyncio.gather(
            *(
                self._stores[part].store(
                    some, workers if part == HOME_PARTITION else (), now=now
                )
                for part, some in split.items()
            ),
            return_exceptions=True,
        )
        return await self._merge_receipts(dict(zip(split, stored, strict=True)))

    async def withdraw(self, ids: Sequence[str]) -> int:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(find_partition(id_, len(self._stores)), []).append(id_)
        done = await asyncio.gather(
            *(self._stores[part].withdraw(some) for part, some in split.items())
        )
        return sum(done)

    async def open_gap(self, gap: Gap) -> WriteResult:
        return await self._merge_receipts(
            {HOME_PARTITION: await self._head.open_gap(gap)}
        )

    async def store_queues(
        self, queues: Sequence[QueueView], *, now: float
    ) -> WriteResult:
        return await self._merge_receipts(
            {HOME_PARTITION: await self._head.store_queues(queues, now=now)}
        )

    async def update_documents(
        self,
        kind: str,
        updates: Mapping[str, DocumentUpdate],
        *,
        now: float,
        seconds: float,
    ) -> WriteResult:
        done = await self._head.update_documents(
            kind, updates, now=now, seconds=seconds
        )
        return await self._merge_receipts({HOME_PARTITION: done})

    async def delete_documents(
        self, kind: str, ids: Sequence[str], *, now: float
    ) -> int:
        return await self._head.delete_documents(kind, ids, now=now)

    async def delete_worker(self, hostname: str, *, now: float) -> str | None:
        return await self._head.delete_worker(hostname, now=now)

    async def record_heartbeat(
        self, monitor: MonitorView, *, now: float
    ) -> WriteResult:
        # Every log moves, so that a client that resumes from a quiet one finds it
        # fresh.
        beaten = await asyncio.gather(
            *(part.record_heartbeat(monitor, now=now) for part in self._stores),
            return_exceptions=True,
        )
        return await self._merge_receipts(dict(enumerate(beaten)))

    async def _merge_receipts(
        self, receipts: Mapping[int, WriteResult | BaseException]
    ) -> WriteResult:
        """Return the merged results; raise the first error, once all have finished.

        After an error the whole batch is stored again. Partitions that already have it
        change nothing.
        """
        changes, known = 0, self._known or await self.read_end()
        for part, receipt in receipts.items():
            if isinstance(receipt, BaseException):
                raise receipt
            changes += receipt.changes
            known = known.advance(part, max(known.parts[part], receipt.cursor))
        self._known = known
        return WriteResult(known, changes)

    async def expire_tasks(self, *, now: float, limit: int = 500) -> int:
        swept = 0
        for part in self._stores:
            if swept < limit:
                swept += await part.expire_tasks(now=now, limit=limit - swept)
        return swept

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        return await self._head.acquire_lease(work, owner, seconds)

    # -- Notes -----------------------------------------------------------------------

    async def put_item(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        return await self._head.put_item(kind, id_, text, seconds, new=new)

    async def get_item(self, kind: str, id_: str) -> bytes | None:
        return await self._head.get_item(kind, id_)

    async def get_items(self, kind: str) -> dict[str, bytes]:
        return await self._head.get_items(kind)

    async def list_items(self, kind: str) -> list[str]:
        return await self._head.list_items(kind)

    async def push_line(
        self, kind: str, text: bytes, limit: int, seconds: float
    ) -> None:
        await self._head.push_line(kind, text, limit, seconds)

    async def read_lines(self, kind: str, limit: int) -> list[bytes]:
        return await self._head.read_lines(kind, limit)

    async def delete_item(self, kind: str, id_: str) -> None:
        await self._head.delete_item(kind, id_)
