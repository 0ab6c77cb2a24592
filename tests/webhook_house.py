"""A store, a process that delivers webhooks from it, and who registers them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from herald_monitor.memory import MemoryStore
from herald_monitor.model.events import Event
from herald_monitor.store import Store
from herald_server.feed import Feed
from herald_server.hub import Hub
from herald_server.webhooks.address import Guard, networks
from herald_server.webhooks.backoff import Pace
from herald_server.webhooks.delivering import delivering
from herald_server.webhooks.desk import Desk
from tests.receiver_of_webhooks import Receiver, receiving

HERE = networks(["127.0.0.1"])
QUICK = Pace(
    first=0.02, longest=0.1, tries=15, open_after=20, open_first=0.05, open_longest=0.1
)
HASTY = msgspec.structs.replace(QUICK, tries=3)


class House:
    """A store, a process that delivers from it, and who registers."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self.store = store
        self.hub = Hub()
        self.feed = Feed(store, self.hub)
        self.desk = Desk(store, Guard(HERE))
        self._pace = pace
        self._clock = 0

    async def tell(self, kind: str, *ids: str, **fields: Any) -> None:
        """Store events of one kind, one for each task, in one batch."""
        self._clock += 1
        now = time.time()
        given: dict[str, Any] = {"host": "w1@h", "pid": 7, **fields}
        events = [
            Event(kind=kind, task_id=id_, at=now, clock=self._clock, **given)
            for id_ in ids
        ]
        await self.store.store(events, now=now)

    async def run(self, *ids: str) -> None:
        """Have tasks received, started and ended."""
        for kind in ("received", "started", "succeeded"):
            await self.tell(kind, *ids, name="shop.pay")

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncGenerator[None]:
        """Deliver while the block runs."""
        await self.feed.start()
        reading = asyncio.create_task(self.feed.run())
        try:
            async with delivering(self.desk, self.store, self.hub, "n", self._pace):
                yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def fares(self, id_: str, **wanted: object) -> dict[str, Any]:
        """Wait until an endpoint fares so."""
        told: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while not all(told.get(k) == v for k, v in wanted.items()) or not told:
                await asyncio.sleep(0.02)
                told = await self.desk.one(id_)
        return told


@contextlib.asynccontextmanager
async def house(
    pace: Pace = QUICK, store: Store | None = None
) -> AsyncGenerator[tuple[House, Receiver]]:
    made = House(store or MemoryStore(), pace)
    async with receiving() as receiver, made.delivering():
        yield made, receiver
