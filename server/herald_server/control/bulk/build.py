"""Build the service and the runner of bulk orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.scoped_store import get_unscoped, scope_store
from herald_server.control.bulk.executor import Publish
from herald_server.control.bulk.journal import OrderJournal
from herald_server.control.bulk.order import BulkOrder
from herald_server.control.bulk.progress import OrderProgress
from herald_server.control.bulk.request import BulkLimits
from herald_server.control.bulk.runner import BulkRunner, ProgressThrottle
from herald_server.control.bulk.service import BulkOrders
from herald_server.control.bulk.view import MAX_PUSHED_FAILURES, make_view
from herald_server.control.bulk.work.cancelling import CancelWork
from herald_server.control.bulk.work.decisions import RetryDecider
from herald_server.control.bulk.work.evidence import EvidenceFinder
from herald_server.control.bulk.work.retrying import RetryWork
from herald_server.control.bulk.work.sender import ChunkSender
from herald_server.control.control import Control
from herald_server.control.order_book import OrderBook
from herald_server.control.purge.purge_queue import QueuePurge

VIEW_INTERVAL_S: Final = 0.5
"""Seconds between two pushed states of an order."""


class Bulk(msgspec.Struct, frozen=True):
    """The service and the runner of bulk orders of one process, and purges."""

    orders: BulkOrders
    runner: BulkRunner
    purge: QueuePurge


def build_bulk(
    control: Control,
    store: Store,
    audit: AuditLog,
    limits: BulkLimits,
    owner: str,
    is_current: Callable[[], bool],
) -> Bulk:
    """Return the service and the runner. `owner` is unique to this process."""
    whole: Store = get_unscoped(store)
    scoped = scope_store(whole)
    journal, book = OrderJournal(whole), OrderBook(whole)
    decider = RetryDecider(control.decider, control.catalog)
    evidence = EvidenceFinder(whole, control.locator, is_current)
    retrying = RetryWork(scoped, decider, ChunkSender(control.publisher), evidence)
    runner = BulkRunner(
        *(whole, journal, retrying, CancelWork(scoped, control.canceller)),
        *(audit, owner, ProgressThrottle(_make_publisher(book), VIEW_INTERVAL_S)),
    )
    orders = BulkOrders(scoped, book, journal, decider, audit, limits, runner.wake)
    purge = QueuePurge(control.app, whole, control.queues, book, audit)
    return Bulk(orders, runner, purge)


def _make_publisher(book: OrderBook) -> Publish:
    async def publish(order: BulkOrder, progress: OrderProgress) -> None:
        await book.try_save(make_view(order, progress, MAX_PUSHED_FAILURES))

    return publish
