"""One store in several partitions, each of them a `RedisStore` of its own.

On a Redis Cluster every partition lies on one node; the work of storing and
announcing spreads over the nodes. What is about one task is still one atomic
step, since a task is in one partition; a batch is one step in each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain

from herald_monitor.model.events import Event
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.vector import Vector
from herald_monitor.model.workers import Worker
from herald_monitor.partitioned_log import PartitionedLog
from herald_monitor.partitioned_reader import PartitionedReader
from herald_monitor.partitions import FIRST, part_of
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import Gap, MonitorImage, Receipt


class PartitionedStore(PartitionedReader, PartitionedLog):
    """Writer, Reader, Log and Notes over `parts`."""

    def __init__(self, parts: Sequence[RedisStore]) -> None:
        PartitionedReader.__init__(self, parts)
        PartitionedLog.__init__(self, parts)
        self._stores = tuple(parts)
        self._head = parts[FIRST]
        self._known: Vector | None = None

    @property
    def warnings(self) -> list[str]:
        """What should be changed in the servers, known once the store is open."""
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
        """Let go of all connections."""
        await self.stop_reading()
        for part in self._stores:
            await part.close()

    # -- Writer ----------------------------------------------------------------------

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        split: dict[int, list[Event]] = {FIRST: []} if workers else {}
        for event in events:
            home = part_of(event.task_id, len(self._stores))
            split.setdefault(home, []).append(event)
        stored = await asyncio.gather(
            *(
                self._stores[part].store(
                    some, workers if part == FIRST else (), now=now
                )
                for part, some in split.items()
            ),
            return_exceptions=True,
        )
        return await self._receipt(dict(zip(split, stored, strict=True)))

    async def withdraw(self, ids: Sequence[str]) -> int:
        split: dict[int, list[str]] = {}
        for id_ in ids:
            split.setdefault(part_of(id_, len(self._stores)), []).append(id_)
        done = await asyncio.gather(
            *(self._stores[part].withdraw(some) for part, some in split.items())
        )
        return sum(done)

    async def open_gap(self, gap: Gap) -> Receipt:
        return await self._receipt({FIRST: await self._head.open_gap(gap)})

    async def gauge(self, queues: Sequence[QueueImage], *, now: float) -> Receipt:
        return await self._receipt({FIRST: await self._head.gauge(queues, now=now)})

    async def dismiss(self, hostname: str, *, now: float) -> str | None:
        return await self._head.dismiss(hostname, now=now)

    async def beat(self, monitor: MonitorImage, *, now: float) -> Receipt:
        # Every log moves, so that who resumes from a quiet one finds it fresh.
        beaten = await asyncio.gather(
            *(part.beat(monitor, now=now) for part in self._stores),
            return_exceptions=True,
        )
        return await self._receipt(dict(enumerate(beaten)))

    async def _receipt(
        self, receipts: Mapping[int, Receipt | BaseException]
    ) -> Receipt:
        """Return the receipts as one; raise the first error, once all are in.

        What one partition refused is stored again with what others took already:
        that is no news.
        """
        changes, known = 0, self._known or await self.end()
        for part, receipt in receipts.items():
            if isinstance(receipt, BaseException):
                raise receipt
            changes += receipt.changes
            known = known.at(part, max(known.parts[part], receipt.cursor))
        self._known = known
        return Receipt(known, changes)

    async def sweep(self, *, now: float, most: int = 500) -> int:
        swept = 0
        for part in self._stores:
            if swept < most:
                swept += await part.sweep(now=now, most=most - swept)
        return swept

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        return await self._head.lease(work, owner, seconds)

    # -- Notes -----------------------------------------------------------------------

    async def put_note(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        return await self._head.put_note(kind, id_, text, seconds, new=new)

    async def note(self, kind: str, id_: str) -> bytes | None:
        return await self._head.note(kind, id_)

    async def notes(self, kind: str) -> dict[str, bytes]:
        return await self._head.notes(kind)

    async def noted(self, kind: str) -> list[str]:
        return await self._head.noted(kind)

    async def add_line(self, kind: str, text: bytes, most: int, seconds: float) -> None:
        await self._head.add_line(kind, text, most, seconds)

    async def lines(self, kind: str, most: int) -> list[bytes]:
        return await self._head.lines(kind, most)

    async def drop_note(self, kind: str, id_: str) -> None:
        await self._head.drop_note(kind, id_)
