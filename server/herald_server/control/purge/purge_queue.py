"""Purge a queue: remove its waiting messages, confirmed by their number.

The tasks of removed messages never start. They become REVOKED, as Herald's own act
(`source` is `submitted`); a copy of such a task that runs all the same ends that.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from celery import Celery

from herald_core.errors import HeraldError, InvalidInput, StoreError
from herald_core.model.events.event import MAX_NAME, Event, is_id
from herald_core.model.orders import Order
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_monitor.celery_client.queues.depths import QueueDepthReader
from herald_monitor.celery_client.queues.lookup import QueuesUnreachable
from herald_monitor.celery_client.queues.purge import (
    QueuePurger,
    RemovedBatch,
    RemovedTask,
)
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity
from herald_server.auth.scoped_store import forbid_scoped
from herald_server.control.order_book import OrderBook
from herald_server.control.queue_check import QueueValidator
from herald_server.control.queue_names import BadQueue, is_reserved
from herald_server.control.start.publisher import BrokerUnreachable

log = logging.getLogger(__name__)

PURGE: Final = "purge_queue"
MAX_DEVIATION_RATIO: Final = 0.1
MIN_DEVIATION_MESSAGES: Final = 10
"""How far the depth may be from the expected one: a tenth of it, at least 10 messages.
Queues move while a person reads."""

MAX_DURATION_S: Final = 30.0
"""Seconds after which a purge returns what it has removed; it may be repeated."""


class UnknownQueue(HeraldError):
    """No queue of that name was measured, and none is named by settings or workers."""


class DepthChanged(HeraldError):
    """The queue is much deeper or shallower than expected; `depth` is its own."""

    def __init__(self, message: str, depth: int) -> None:
        super().__init__(message)
        self.depth = depth


class QueuePurge:
    """Purges queues of `app`, for callers that see everything."""

    def __init__(
        self,
        app: Celery,
        store: Store,
        queues: QueueValidator,
        book: OrderBook,
        audit: AuditLog,
    ) -> None:
        self._store = store
        self._queues = queues
        self._book = book
        self._audit = audit
        self._depths = QueueDepthReader(app)
        self._purger = QueuePurger(app)

    async def purge(self, queue: str, expect_depth: int) -> Order:
        """Remove the messages that wait in `queue`, and return the order.

        Messages that arrive later stay. Raises `UnknownQueue`, `DepthChanged`,
        `BadQueue`, `UnsupportedByBroker`, `BrokerUnreachable`, `StoreError`.
        """
        forbid_scoped("the purge of a queue")
        await self._check_name(queue)
        depth = await self._measure(queue)
        if not is_close(expect_depth, depth):
            raise DepthChanged(
                f"{depth:,} messages wait in {queue[:80]}, not {expect_depth:,}; "
                f"nothing was removed. Look again, and confirm with "
                f"expect_depth={depth}",
                depth,
            )
        order = _make_order(queue, depth)
        await self._book.try_save(order)
        removed = RemovedTotal()
        try:
            await self._remove_all(queue, depth, removed)
        finally:
            order = _end_order(order, removed, await self._try_measure(queue))
            await self._book.try_save(order)
            await self._audit.record(
                PURGE, queue, count=removed.number, outcome=order.state
            )
        return order

    async def _check_name(self, queue: str) -> None:
        if is_reserved(queue):
            raise BadQueue(f"{queue[:80]!r} is a name that brokers use themselves")
        measured = {one.name for one in await self._store.list_queues()}
        if queue not in measured and not await self._queues.find_known([queue]):
            raise UnknownQueue(f"no queue {queue[:80]!r} is known")
        await self._queues.refuse_foreign([queue])

    async def _measure(self, queue: str) -> int:
        try:
            found = await self._depths.measure([queue])
        except QueuesUnreachable as error:
            raise BrokerUnreachable(str(error)) from error
        one = found.get(queue)
        if one is None or one.depth is None:
            raise BrokerUnreachable(
                "the broker does not tell how many messages wait in the queue, so "
                "nothing is purged"
            )
        return one.depth

    async def _try_measure(self, queue: str) -> int | None:
        try:
            return await self._measure(queue)
        except HeraldError:
            return None

    async def _remove_all(self, queue: str, depth: int, removed: RemovedTotal) -> None:
        until = time.monotonic() + MAX_DURATION_S
        while removed.number < depth and time.monotonic() < until:
            try:
                batch = await self._purger.remove(queue, depth - removed.number)
            except QueuesUnreachable as error:
                removed.problem = str(error)
                return
            await self._record(queue, batch, removed)
            if not batch.number or batch.is_blind:
                return

    async def _record(
        self, queue: str, batch: RemovedBatch, removed: RemovedTotal
    ) -> None:
        removed.add(batch)
        events = make_events(queue, batch.tasks, time.time())
        if not events:
            return
        try:
            await self._store.store(events, now=time.time())
        except StoreError as error:
            removed.problem = f"what was removed is not stored: {error}"
            log.warning("%d purged tasks are not stored: %s", len(events), error)


class RemovedTotal:
    """What a purge has removed so far."""

    def __init__(self) -> None:
        self.number = 0
        self.known = 0
        self.is_blind = False
        self.problem = ""

    def add(self, batch: RemovedBatch) -> None:
        """Add a batch."""
        self.number += batch.number
        self.known += len(batch.tasks)
        self.is_blind = self.is_blind or batch.is_blind


def is_close(expected: int, depth: int) -> bool:
    """Return True if a queue of `depth` is about what was expected."""
    return abs(depth - expected) <= max(
        MIN_DEVIATION_MESSAGES, round(expected * MAX_DEVIATION_RATIO)
    )


def make_events(queue: str, tasks: Sequence[RemovedTask], now: float) -> list[Event]:
    """Return the events of tasks that were removed from `queue` at `now`."""
    return [
        Event(
            kind="revoked",
            source="submitted",
            task_id=task.task_id,
            at=now,
            retries=task.retries,
            name=task.name[:MAX_NAME] if task.name else None,
            queue=queue,
        )
        for task in tasks
        if is_id(task.task_id)
    ]


def parse_depth(given: object) -> int:
    """Return the expected depth. Raises `InvalidInput`."""
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidInput(
            "expect_depth must be the number of messages that wait in the queue, as "
            "the list of queues shows it",
            "expect_depth",
        )
    return given


def _make_order(queue: str, depth: int) -> Order:
    who = get_identity()
    return Order(
        id=str(uuid.uuid4()),
        kind=PURGE,
        state="running",
        who=who.name if who else "herald",
        requested_at=to_rfc3339(time.time()),
        target=queue,
        message=f"{depth:,} messages are being removed.",
        details={"depth": depth},
    )


def _end_order(order: Order, removed: RemovedTotal, left: int | None) -> Order:
    details: dict[str, Any] = {
        **order.details,
        "removed": removed.number,
        "tasks": removed.known,
    }
    if left is not None:
        details["left"] = left
    complete = removed.is_blind or removed.number >= order.details["depth"]
    return msgspec.structs.replace(
        order,
        state="done" if complete and not removed.problem else "incomplete",
        ended_at=to_rfc3339(time.time()),
        message=describe_purge(order.target, removed, left),
        details=details,
    )


def describe_purge(queue: str, removed: RemovedTotal, left: int | None) -> str:
    """Return the outcome of a purge as a sentence."""
    sentence = f"{removed.number:,} messages were removed from {queue}."
    if removed.is_blind:
        sentence += (
            " The broker does not tell which tasks they were: they stay as they are"
            " shown until Herald finds that they wait no more."
        )
    elif removed.known:
        sentence += f" {removed.known:,} tasks are revoked: they never start."
    if left:
        sentence += f" {left:,} wait now."
    return f"{sentence} {removed.problem}" if removed.problem else sentence
