"""Keep pauses in force at workers that join, conclude abandoned orders, and record when
workers change.

One process at a time does it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from herald_core.errors import HeraldError, StoreError
from herald_core.model.changes import Change
from herald_core.model.workers.queue_pause import QueuePause
from herald_core.model.workers.worker import WorkerView
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_server.control.cancel.replay import PendingBoots
from herald_server.control.worker_changes import CHECK_INTERVAL_S, follow_workers
from herald_server.control.workers.queue_pauses import QueuePauses
from herald_server.control.workers.worker_orders import WorkerOrders
from herald_server.insight.workers.state_log import StateLog
from herald_server.push.log.hub import Hub

log = logging.getLogger(__name__)

LEASE_NAME = "worker-orders"
FULL_CHECK_INTERVAL_S = 60.0
"""Seconds after which all workers are asked, whatever is known of them."""


class WorkerOrderKeeper:
    """Watches workers and orders, while this process holds the lease."""

    def __init__(
        self,
        pauses: QueuePauses,
        orders: WorkerOrders,
        store: Store,
        hub: Hub,
        node: str,
    ) -> None:
        self._pauses = pauses
        self._orders = orders
        self._store = store
        self._hub = hub
        self._lease = Lease(store, LEASE_NAME, node)
        self._boots = PendingBoots()
        self._checked: dict[str, float] = {}
        self._followed_at = float("-inf")
        self._log = StateLog(store)
        self._is_recording = False

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            await follow_workers(self._hub, self._lease, self._run_once, self._record)
        finally:
            await self._orders.close()

    async def _record(self, changes: Sequence[Change], is_complete: bool) -> None:
        """Record the workers that changed; all of them once the lease is won."""
        changed = [one.json for one in changes if one.json]
        is_fresh = is_complete and self._is_recording
        self._is_recording = self._lease.is_held
        if not self._is_recording:
            return
        now = time.time()
        try:
            if is_fresh:
                workers = [msgspec.json.decode(one, type=WorkerView) for one in changed]
            else:
                await self._log.load()
                workers = await self._store.list_workers(now=now)
            await self._log.record(workers, now)
        except StoreError as error:
            self._is_recording = False
            log.debug("changes of workers are recorded later: %s", error)

    async def _run_once(self) -> bool:
        """Return True if there are pauses to enforce, or none is known to be."""
        if not self._lease.is_held:
            self._boots.clear()
            self._checked.clear()
            return True
        try:
            has_pauses = await self._check_pauses()
            now = time.time()
            if now >= self._followed_at + CHECK_INTERVAL_S:
                self._followed_at = now
                await self._orders.follow_up(now)
        except HeraldError as error:
            log.debug("orders to workers are looked at later: %s", error)
            return True
        return has_pauses

    async def _check_pauses(self) -> bool:
        """Enforce all pauses; return True if there are any."""
        pauses = await self._pauses.book.list_pauses()
        if not pauses:
            self._checked.clear()
            return False
        now = time.time()
        workers = await self._store.list_workers(now=now)
        joined = self._boots.find_pending(workers)
        consumed = {one.name: one.consumers for one in await self._store.list_queues()}
        missing = frozenset[str]()
        for pause in pauses:
            await self._pauses.book.renew(pause, now)
            if joined or self._is_due(pause, consumed.get(pause.queue), now):
                self._checked[pause.queue] = now
                missing |= await self._enforce(pause)
        self._boots.record_answers(joined.values(), set(joined) - missing)
        return True

    async def _enforce(self, pause: QueuePause) -> frozenset[str]:
        missing = await self._pauses.enforce(pause)
        order = await self._pauses.find_order(pause)
        if order is not None:
            await self._pauses.record(order, missing)
        return missing

    def _is_due(
        self, pause: QueuePause, consumers: tuple[str, ...] | None, now: float
    ) -> bool:
        """Return True if workers are to be asked about `pause` now."""
        since = now - self._checked.get(pause.queue, 0.0)
        if since >= FULL_CHECK_INTERVAL_S:
            return True
        return since >= CHECK_INTERVAL_S and bool(pause.is_resuming or consumers)
