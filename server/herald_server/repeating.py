"""Cancels, told again to each worker that joins. One process of all does it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from herald_monitor.errors import StoreError
from herald_monitor.lease import Lease
from herald_monitor.model.changes import WORKER
from herald_monitor.model.filters import Filter
from herald_monitor.model.workers import ONLINE, WorkerImage
from herald_monitor.store import Store
from herald_server.cancelling import Cancels
from herald_server.hub import Hub, Watcher

log = logging.getLogger(__name__)

WORK = "cancels"
GLANCE = 0.5
"""Seconds between two looks at most: workers speak all the time."""

LOOK_EVERY = 10.0
"""Seconds after which cancels of tasks that have ended are forgotten at last."""

TRIES = 20
"""Times that a worker which does not answer is told."""

Boot = tuple[str, int | None, str | None]
"""A worker's hostname, pid and start: another one after each restart."""


class Joined:
    """Which boots of workers have yet to be told. Pure."""

    def __init__(self) -> None:
        self._told: set[Boot] = set()
        self._tries: dict[Boot, int] = {}

    def open(self, workers: Iterable[WorkerImage]) -> dict[str, Boot]:
        """Return who lives and was not told, by hostname."""
        living = {boot(one) for one in workers if one.state == ONLINE}
        self._told &= living
        self._tries = {one: n for one, n in self._tries.items() if one in living}
        return {one[0]: one for one in living - self._told}

    def answered(self, asked: Iterable[Boot], hosts: set[str]) -> None:
        """Note who of those that were `asked` answered."""
        for one in asked:
            # A worker says that it is online before it listens to orders.
            self._tries[one] = self._tries.get(one, 0) + 1
            if one[0] in hosts or self._tries[one] >= TRIES:
                self._told.add(one)

    def forget(self) -> None:
        """Have everybody told again."""
        self._told.clear()
        self._tries.clear()


def boot(worker: WorkerImage) -> Boot:
    """Return what names a worker from its start to its end."""
    return worker.hostname, worker.pid, worker.started_at


class Repeating:
    """Watches for workers that join, as long as this process has the lease."""

    def __init__(self, cancels: Cancels, store: Store, hub: Hub, node: str) -> None:
        self._cancels = cancels
        self._store = store
        self._hub = hub
        self._lease = Lease(store, WORK, node)
        self._joined = Joined()

    async def run(self) -> None:
        """Go on until cancelled."""
        moved = asyncio.Event()
        watcher = Watcher(Filter(), moved.set, WORKER)
        self._hub.watch(watcher)
        keeping = asyncio.create_task(self._lease.keep())
        try:
            while True:
                await self._look()
                await asyncio.sleep(GLANCE)
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await moved.wait()
                except TimeoutError:
                    pass
                moved.clear()
                watcher.take()
                watcher.reset = ""
        finally:
            self._hub.drop(watcher)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _look(self) -> None:
        if not self._lease.held:
            self._joined.forget()
            return
        try:
            kept = await self._cancels.kept()
            if not all(one.sent for one in kept):
                self._joined.forget()
            if kept:
                workers = await self._store.workers(now=time.time())
                asked = self._joined.open(workers)
                hosts = await self._cancels.repeat(asked)
                self._joined.answered(asked.values(), hosts)
        except StoreError as error:
            log.debug("cancels are looked at later: %s", error)
