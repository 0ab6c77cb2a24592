"""Send pending cancels to each worker that joins. One process at a time does it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from herald_core.errors import StoreError
from herald_core.model.workers.worker import ONLINE, WorkerView
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_server.control.cancel.canceller import Canceller
from herald_server.control.worker_changes import Boot, follow_workers, identify_boot
from herald_server.push.log.hub import Hub

log = logging.getLogger(__name__)

LEASE_NAME = "cancels"
MAX_TRIES = 20
"""How often a cancel is sent to a worker that does not answer."""


class PendingBoots:
    """Worker starts that have not received the cancels yet. Pure."""

    def __init__(self) -> None:
        self._done: set[Boot] = set()
        self._tries: dict[Boot, int] = {}

    def find_pending(self, workers: Iterable[WorkerView]) -> dict[str, Boot]:
        """Return the live workers without the cancels, by hostname."""
        living = {identify_boot(one) for one in workers if one.state == ONLINE}
        self._done &= living
        self._tries = {one: n for one, n in self._tries.items() if one in living}
        return {one[0]: one for one in living - self._done}

    def record_answers(self, boots: Iterable[Boot], hosts: set[str]) -> None:
        """Record which of the `boots` workers answered."""
        for one in boots:
            # A worker reports that it is online before it accepts control commands.
            self._tries[one] = self._tries.get(one, 0) + 1
            if one[0] in hosts or self._tries[one] >= MAX_TRIES:
                self._done.add(one)

    def clear(self) -> None:
        """Forget all: the cancels are sent again."""
        self._done.clear()
        self._tries.clear()


class CancelReplay:
    """Watches for workers that join, while this process holds the lease."""

    def __init__(self, cancels: Canceller, store: Store, hub: Hub, node: str) -> None:
        self._canceller = cancels
        self._store = store
        self._hub = hub
        self._lease = Lease(store, LEASE_NAME, node)
        self._pending_boots = PendingBoots()

    async def run(self) -> None:
        """Run until cancelled."""
        await follow_workers(self._hub, self._lease, self._run_once)

    async def _run_once(self) -> bool:
        """Return True if there are cancels to send, or none is known to be."""
        if not self._lease.is_held:
            self._pending_boots.clear()
            return True
        try:
            kept = await self._canceller.list_pending()
            if not all(one.sent for one in kept):
                self._pending_boots.clear()
            if kept:
                workers = await self._store.list_workers(now=time.time())
                boots = self._pending_boots.find_pending(workers)
                hosts = await self._canceller.resend(boots)
                self._pending_boots.record_answers(boots.values(), hosts)
        except StoreError as error:
            log.debug("cancels are looked at later: %s", error)
            return True
        return bool(kept)
