"""A store, a process that delivers webhooks from it, and who registers them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.webhooks.admin import WebhookAdmin
from herald_server.webhooks.delivery.dispatcher import run_dispatcher
from herald_server.webhooks.retry_policy import RetryPolicy
from herald_server.webhooks.ssrf_guard import SsrfGuard, parse_networks
from tests.support.clients.webhook_receiver import Receiver, receiving
from tests.support.wait import wait_until_async

HERE = parse_networks(["127.0.0.1"])
QUICK = RetryPolicy(
    first=0.02, longest=0.1, tries=15, open_after=20, open_first=0.05, open_longest=0.1
)
HASTY = msgspec.structs.replace(QUICK, tries=3)


class WebhookEnvironment:
    """A store, a process that delivers from it, and who registers."""

    def __init__(self, store: Store, policy: RetryPolicy) -> None:
        self.store = store
        self.hub = Hub()
        self.feed = LogReader(store, self.hub)
        self.admin = WebhookAdmin(store, SsrfGuard(HERE))
        self._policy = policy
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
            async with run_dispatcher(
                self.admin, self.store, self.hub, "n", self._policy
            ):
                yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def fares(self, id_: str, **wanted: object) -> dict[str, Any]:
        """Wait until an endpoint fares so."""
        return await wait_until_async(
            lambda: self.admin.get(id_),
            accept=lambda told: wanted.items() <= told.items(),
        )


@contextlib.asynccontextmanager
async def open_webhooks(
    policy: RetryPolicy = QUICK, store: Store | None = None
) -> AsyncGenerator[tuple[WebhookEnvironment, Receiver]]:
    made = WebhookEnvironment(store or MemoryStore(), policy)
    async with receiving() as receiver, made.delivering():
        yield made, receiver
