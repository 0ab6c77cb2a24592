"""Orders to workers: who may give them, one at a time for each worker."""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import uuid4

from herald_core.errors import HeraldError
from herald_core.model.orders import Order
from herald_core.model.workers.worker import OFFLINE, WorkerView
from herald_core.store.ports import Store
from herald_core.system.cancellation import cancel_tasks
from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import PermissionDenied
from herald_server.auth.request_context import get_identity
from herald_server.auth.scoped_store import forbid_scoped
from herald_server.control.dismiss_worker import UnknownWorker
from herald_server.control.order_book import OrderBook
from herald_server.control.workers import steps
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.commands import WorkerCommand
from herald_server.control.workers.outcomes import (
    NO_ANSWER,
    NOT_VERIFIED,
    REQUESTED,
    Verdict,
)
from herald_server.control.workers.runner import OrderRun

log = logging.getLogger(__name__)

LOCK_KIND = "worker-order"
"""The kind of items that hold a worker for one order."""

LOCK_S = 60.0
"""Seconds after which the order of a server that died no longer holds its worker."""

OVERDUE_S = 60.0
"""Seconds after which an order without outcome belonged to a server that died."""

SHUTDOWN_WATCH_S = 3_600.0
"""Seconds in which a worker may read a shutdown that it did not answer."""


class WorkerControlDisabled(PermissionDenied):
    """Orders to workers are switched off."""

    def __init__(self) -> None:
        super().__init__(
            "orders to workers are switched off here (HERALD_WORKER_CONTROL=0); set it "
            "to 1 and restart the server, or use `celery control` on a worker's host"
        )


class WorkerUnavailable(HeraldError):
    """A worker cannot be given this order now: it is gone, or has another order."""


class WorkerOrders:
    """Gives orders to workers, and follows them to their outcome."""

    def __init__(
        self,
        asker: WorkerAsker,
        store: Store,
        book: OrderBook,
        audit: AuditLog,
        *,
        enabled: bool = True,
    ) -> None:
        self.book = book
        self.enabled = enabled
        self._asker = asker
        self._store = store
        self._audit = audit
        self._running: dict[str, asyncio.Task[Order]] = {}

    def require_enabled(self) -> None:
        """Raise `PermissionDenied` if the caller, or nobody, may give orders, and
        `UnsupportedByBroker` if none can reach a worker."""
        forbid_scoped("an order to workers")
        if not self.enabled:
            raise WorkerControlDisabled
        self._asker.require_control()

    async def give(
        self, hostname: str, command: WorkerCommand, wait_s: float = 0.0
    ) -> Order:
        """Give an order; return it after its outcome, or after `wait_s`.

        Raises `PermissionDenied`, `UnsupportedByBroker`, `UnknownWorker`,
        `WorkerUnavailable`, `StoreError`.
        """
        self.require_enabled()
        worker = await self._find_worker(hostname)
        identity = get_identity()
        who = identity.name if identity else "herald"
        order = steps.make_order(uuid4().hex, command, hostname, who, time.time())
        await self._hold(order)
        try:
            await self.book.save(order)
            await self._audit.record(
                command.name, hostname, name=order.id, outcome=order.state
            )
        except BaseException:
            await self._store.delete_item(LOCK_KIND, hostname)
            raise
        task = asyncio.create_task(self._run(order, worker))
        self._running[order.id] = task
        task.add_done_callback(lambda _: self._running.pop(order.id, None))
        return await self.wait(order, wait_s)

    async def wait(self, order: Order, wait_s: float) -> Order:
        """Return `order` once it has ended, or as it is after `wait_s`."""
        task = self._running.get(order.id)
        if task is None:
            return order
        await asyncio.wait([task], timeout=wait_s)
        if task.done():
            return task.result()
        return await self.book.find(order.id) or order

    async def _find_worker(self, hostname: str) -> WorkerView:
        workers = await self._store.list_workers(now=time.time())
        found = next((one for one in workers if one.hostname == hostname), None)
        if found is None:
            raise UnknownWorker(
                f"no worker {hostname[:200]!r} is known; the list of workers has those"
                " that are"
            )
        if found.state == OFFLINE:
            raise WorkerUnavailable(
                f"worker {hostname} is offline: it can carry out nothing; start it"
            )
        return found

    async def _hold(self, order: Order) -> None:
        """Reserve the worker for `order`: two at once could not be verified."""
        name = order.id.encode()
        if not await self._store.put_item(
            LOCK_KIND, order.target, name, LOCK_S, new=True
        ):
            other = await self._store.get_item(LOCK_KIND, order.target) or b"?"
            raise WorkerUnavailable(
                f"worker {order.target} is carrying out another order"
                f" ({other.decode()}); repeat this one when that has ended"
            )

    async def _run(self, order: Order, worker: WorkerView) -> Order:
        try:
            order = await self._make_run(order).run(worker)
        finally:
            await self._store.delete_item(LOCK_KIND, order.target)
        log.info("%s of %s: %s", order.kind, order.target, order.message)
        await self._audit.record(
            order.kind, order.target, name=order.id, outcome=order.state
        )
        return order

    def _make_run(self, order: Order) -> OrderRun:
        return OrderRun(self._asker, self._store, self.book, order)

    # -- orders of servers that died, and of workers that were busy ----------------

    async def follow_up(self, now: float) -> None:
        """Conclude what nobody follows any more. Raises `StoreError`."""
        for order in await self.book.list_orders():
            if order.kind not in steps.ORDERED_KINDS or order.id in self._running:
                continue
            if steps.is_overdue(order, now, OVERDUE_S):
                state = NO_ANSWER if order.state == REQUESTED else NOT_VERIFIED
                await self._save_step(order, Verdict(state, ABANDONED), now)
            elif steps.is_unread_shutdown(order, now, SHUTDOWN_WATCH_S):
                verdict = await self._make_run(order).find_shutdown()
                if verdict is not None:
                    await self._save_step(order, verdict, now)

    async def _save_step(self, order: Order, verdict: Verdict, now: float) -> None:
        await self.book.save(steps.advance(order, verdict, now))

    async def close(self) -> None:
        """Abandon the orders that are under way; another server concludes them."""
        await cancel_tasks(*self._running.values())


ABANDONED = (
    "The server that gave this order ended before its outcome was known; see what the "
    "worker says of itself, and repeat the order if it is still needed."
)
