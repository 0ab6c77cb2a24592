"""Carry out the open bulk orders of a store, in one process at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import anyio

from herald_core.errors import HeraldError, StoreError
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_core.system.cancellation import cancel_tasks
from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import Identity
from herald_server.auth.request_context import enter_request
from herald_server.auth.tokens.claims import parse_filter_claim
from herald_server.control.bulk.executor import OrderExecutor, Publish
from herald_server.control.bulk.journal import OrderJournal, OrderTakenOver
from herald_server.control.bulk.order import BulkOrder, Owner
from herald_server.control.bulk.progress import OrderProgress
from herald_server.control.bulk.work.cancelling import CancelWork
from herald_server.control.bulk.work.retrying import RetryWork

log = logging.getLogger(__name__)

LEASE_NAME: Final = "bulk"
MAX_AT_ONCE: Final = 4
"""Orders that are carried out at once; the others wait for their turn."""

CHECK_INTERVAL_S: Final = 2.0
"""Seconds between two looks for open orders that another process stored."""

RESTART_S: Final = 2.0
"""Seconds until an order is tried again after the store failed."""


class BulkRunner:
    """Carries out open orders while this process holds the lease."""

    def __init__(
        self,
        store: Store,
        journal: OrderJournal,
        retrying: RetryWork,
        cancelling: CancelWork,
        audit: AuditLog,
        owner: str,
        publish: Publish,
    ) -> None:
        self._lease = Lease(store, LEASE_NAME, owner)
        self._journal = journal
        self._retrying = retrying
        self._cancelling = cancelling
        self._audit = audit
        self._owner = owner
        self._publish = publish
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for open orders now."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with self._lease:
                while True:
                    await self._run_once()
                    with anyio.move_on_after(CHECK_INTERVAL_S):
                        await self._wake.wait()
                    self._wake.clear()
        finally:
            await cancel_tasks(*self._running.values())

    async def _run_once(self) -> None:
        self._running = {i: t for i, t in self._running.items() if not t.done()}
        if not self._lease.is_held:
            await cancel_tasks(*self._running.values())
            return
        try:
            ids = await self._journal.list_open()
        except StoreError as error:
            log.debug("open orders are looked for later: %s", error)
            return
        for order_id in ids:
            if len(self._running) >= MAX_AT_ONCE:
                return
            if order_id not in self._running:
                self._running[order_id] = asyncio.create_task(self._run_order(order_id))

    async def _run_order(self, order_id: str) -> None:
        """Carry out one order, with the rights of the caller that confirmed it."""
        try:
            order = await self._journal.read_order(order_id)
            if order is None:
                await self._journal.discard(order_id)
                return
            with enter_request(make_identity(order.owner)):
                await self._execute(order)
        except OrderTakenOver as error:
            log.info("%s", error)
        except HeraldError as error:
            log.warning("The order %s is continued later: %s", order_id, error)
            await asyncio.sleep(RESTART_S)
        finally:
            self.wake()

    async def _execute(self, order: BulkOrder) -> None:
        executor = OrderExecutor(
            *(order, self._journal, self._retrying, self._cancelling),
            owner=self._owner,
            may_send=lambda: self._lease.is_held,
            publish=self._publish,
        )
        ended = await executor.run()
        await self._audit.record(
            f"bulk_{order.action}_ended",
            order.id,
            outcome=format_outcomes(ended),
            count=ended.handled,
        )


def format_outcomes(progress: OrderProgress) -> str:
    """Return the state and the outcomes of an order, for the audit log."""
    counts = ", ".join(f"{k} {n}" for k, n in sorted(progress.outcomes.items()))
    return f"{progress.state}: {counts}" if counts else progress.state


def make_identity(owner: Owner) -> Identity:
    """Return the caller that confirmed an order."""
    filters = parse_filter_claim(list(owner.filters)) if owner.filters else None
    return Identity(owner.name, frozenset(owner.scopes), filters)


class ProgressThrottle:
    """Passes on the progress of an order to `publish`, at most every `interval_s`.

    The first and the last one are passed on at once.
    """

    def __init__(
        self,
        publish: Publish,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._interval_s = interval_s
        self._clock = clock
        self._at: dict[str, float] = {}

    async def __call__(self, order: BulkOrder, progress: OrderProgress) -> None:
        now = self._clock()
        due = now - self._at.get(order.id, float("-inf")) >= self._interval_s
        if not due and not progress.is_over:
            return
        self._at[order.id] = now
        if progress.is_over:
            del self._at[order.id]
        await self._publish(order, progress)
