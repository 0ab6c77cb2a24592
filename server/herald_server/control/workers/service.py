"""Everything about single workers and their queues, for all interfaces."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from celery import Celery

from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.control.dismiss_worker import UnknownWorker
from herald_server.control.order_book import OrderBook
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.details import ask_details
from herald_server.control.workers.queue_pauses import QueuePauses
from herald_server.control.workers.worker_orders import WorkerOrders


class WorkerControl:
    """Describes workers, gives them orders, and pauses queues.

    Not `enabled`, it refuses orders and pauses.
    """

    def __init__(
        self, app: Celery, store: Store, audit: AuditLog, *, enabled: bool = True
    ) -> None:
        self._store = store
        self._asker = WorkerAsker(app)
        self.orders = WorkerOrders(
            self._asker, store, OrderBook(store), audit, enabled=enabled
        )
        self.pauses = QueuePauses(self._asker, store, self.orders, audit)

    async def describe(self, hostname: str) -> dict[str, Any]:
        """Return what is known of a worker, and what it says of itself now.

        Raises `UnknownWorker`, `StoreError`.
        """
        workers = await self._store.list_workers(now=time.time())
        found = next((one for one in workers if one.hostname == hostname), None)
        if found is None:
            raise UnknownWorker(
                f"no worker {hostname[:200]!r} is known; the list of workers has those"
                " that are"
            )
        details = await ask_details(self._asker, found)
        return {
            **msgspec.to_builtins(found),
            **{key: value for key, value in details.items() if key != "pool"},
            **({"pool_details": details["pool"]} if "pool" in details else {}),
            "can_be_ordered": self.orders.enabled,
        }
