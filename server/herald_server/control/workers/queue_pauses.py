"""Pause and resume queues: cancel their consumers everywhere, and add them again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from uuid import uuid4

import msgspec

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.orders import Order
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue_pause import (
    QueuePause,
    add_consumers,
    select_to_resume,
)
from herald_core.model.workers.worker import LIVING_STATES, WorkerView
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.request_context import get_identity
from herald_server.control.queue_names import is_reserved
from herald_server.control.start.publisher import BrokerUnreachable
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.commands import ADD_CONSUMER, CANCEL_CONSUMER
from herald_server.control.workers.consumers import (
    find_consumers,
    list_answered,
    make_arguments,
)
from herald_server.control.workers.evidence import QUEUES
from herald_server.control.workers.outcomes import ACKNOWLEDGED, VERIFIED
from herald_server.control.workers.pause_book import PauseBook
from herald_server.control.workers.worker_orders import WorkerOrders

PAUSE_QUEUE = "pause_queue"
RESUME_QUEUE = "resume_queue"
"""The kinds of these orders."""

ANSWER_TIMEOUT_S = 2.0
OBEY_TIMEOUT_S = 6.0
"""Seconds in which workers obey: they change consumers after their reply, some only
once a second."""

OBEY_INTERVAL_S = 0.3

MAX_NAMES = 10
"""Workers that a message names."""


class UnknownPause(HeraldError):
    """A queue is not paused."""


class QueuePauses:
    """Pauses and resumes queues."""

    def __init__(
        self,
        asker: WorkerAsker,
        store: Store,
        orders: WorkerOrders,
        audit: AuditLog,
    ) -> None:
        self.book = PauseBook(store)
        self._asker = asker
        self._store = store
        self._orders = orders
        self._audit = audit

    async def pause(self, queue: str) -> Order:
        """Cancel the consumers of `queue`; return the order as it is then.

        It is `acknowledged` while some worker has not said that it obeyed. Raises
        `PermissionDenied`, `UnsupportedByBroker`, `InvalidInput`, `StoreError`.
        """
        order = self._make_order(PAUSE_QUEUE, queue)
        pause = QueuePause(
            queue=queue,
            who=order.who,
            since=order.requested_at,
            order_id=order.id,
        )
        if not await self.book.add(pause):
            known = await self.book.find(queue)
            if known is not None and not known.is_resuming:
                return await self._describe_repeat(order, known)
            # The consumers that are not added yet stay cancelled.
            left = known.consumers if known else {}
            pause = msgspec.structs.replace(pause, consumers=left)
            await self.book.save(pause)
        await self.book.show(queue, pause)
        await self._audit.record(PAUSE_QUEUE, queue, name=order.id, outcome="requested")
        return await self.apply(pause, order)

    async def resume(self, queue: str) -> Order:
        """Add the consumers of `queue` again; return the order as it is then.

        Raises as `pause`, and `UnknownPause`.
        """
        order = self._make_order(RESUME_QUEUE, queue)
        pause = await self.book.find(queue)
        if pause is None or pause.is_resuming:
            raise UnknownPause(
                f"the queue {queue[:80]!r} is not paused; the list of queues says which"
                " are"
            )
        paused = await self._orders.book.find(pause.order_id)
        if paused is not None and not paused.is_ended:
            done = f"{paused.message} The queue was resumed by {order.who}."
            await self._end(paused, paused.state, done)
        pause = msgspec.structs.replace(pause, is_resuming=True, order_id=order.id)
        await self.book.save(pause)
        await self.book.show(queue, pause)
        await self._audit.record(
            RESUME_QUEUE, queue, name=order.id, outcome="requested"
        )
        return await self.apply(pause, order)

    def _make_order(self, kind: str, queue: str) -> Order:
        self._orders.require_enabled()
        if not 0 < len(queue) <= 255 or is_reserved(queue):
            raise InvalidInput(
                f"{queue[:80]!r} is no queue that can be paused: give its name, of 1 to"
                " 255 printable characters; brokers use some names themselves",
                "name",
            )
        who = get_identity()
        return Order(
            id=uuid4().hex,
            kind=kind,
            state="requested",
            who=who.name if who else "herald",
            requested_at=to_rfc3339(time.time()),
            target=queue,
        )

    async def _describe_repeat(self, order: Order, known: QueuePause) -> Order:
        first = await self._orders.book.find(known.order_id)
        message = f"The queue is paused already, by {known.who} since {known.since}."
        ended = to_rfc3339(time.time())
        return msgspec.structs.replace(
            first or order, message=message, ended_at=ended, state=VERIFIED
        )

    # -- what makes workers obey ---------------------------------------------------

    async def apply(self, pause: QueuePause, order: Order) -> Order:
        """Have all workers obey `pause`; store and return its `order`.

        Raises `StoreError`, `UnsupportedByBroker`.
        """
        try:
            missing = await self.enforce(pause)
        except BrokerUnreachable as error:
            message = (
                f"It is stored, and carried out once workers can be asked: {error}"
            )
            return await self._save(order, ACKNOWLEDGED, message)
        return await self.record(order, missing)

    async def enforce(self, pause: QueuePause) -> frozenset[str]:
        """Have all workers obey `pause`; return those that have not said so.

        Raises `StoreError`, `BrokerUnreachable`, `UnsupportedByBroker`.
        """
        if pause.is_resuming:
            return await self._add_consumers(pause)
        return await self._cancel_consumers(pause)

    async def record(self, order: Order, missing: frozenset[str]) -> Order:
        """Store and return `order`, which only the workers `missing` have not obeyed.

        Raises `StoreError`.
        """
        if not missing:
            return await self._end(order, VERIFIED, DONE[order.kind])
        names = ", ".join(sorted(missing)[:MAX_NAMES])
        message = (
            f"{len(missing)} workers have not said so yet: {names}. Herald repeats it "
            "until they do."
        )
        return await self._save(order, ACKNOWLEDGED, message)

    async def find_order(self, pause: QueuePause) -> Order | None:
        """Return the order of `pause`, if it has not ended. Raises `StoreError`."""
        order = await self._orders.book.find(pause.order_id)
        return None if order is None or order.is_ended else order

    async def _cancel_consumers(self, pause: QueuePause) -> frozenset[str]:
        """Cancel all consumers; return the workers that may still have one."""
        deadline = time.monotonic() + OBEY_TIMEOUT_S
        while True:
            living = await self._list_living()
            answers = await self._ask_consumers(living)
            found = find_consumers(pause.queue, answers, living.values())
            silent = frozenset(living) - list_answered(answers)
            if not found or time.monotonic() >= deadline:
                return silent | found.keys()
            # Stored first: what was cancelled is added again, whoever dies meanwhile.
            stored = await self.book.find(pause.queue)
            if stored is None or stored.is_resuming:
                return frozenset()
            await self.book.save(add_consumers(stored, found))
            await self._asker.ask(
                {CANCEL_CONSUMER: {"queue": pause.queue}}, list(found), ANSWER_TIMEOUT_S
            )
            await asyncio.sleep(OBEY_INTERVAL_S)

    async def _add_consumers(self, pause: QueuePause) -> frozenset[str]:
        """Add the consumers again; return the workers that have none yet."""
        deadline = time.monotonic() + OBEY_TIMEOUT_S
        while True:
            living = await self._list_living()
            left = select_to_resume(pause, living.values())
            answers = await self._ask_consumers(living)
            there = find_consumers(pause.queue, answers, ())
            left = {host: one for host, one in left.items() if host not in there}
            pause = msgspec.structs.replace(pause, consumers=left)
            if not left:
                await self.book.delete(pause.queue)
                return frozenset()
            if time.monotonic() >= deadline:
                await self.book.save(pause)
                return frozenset(left)
            await self._add_each(pause, list_answered(answers))
            await asyncio.sleep(OBEY_INTERVAL_S)

    async def _add_each(self, pause: QueuePause, hosts: frozenset[str]) -> None:
        """Add the consumers of `hosts`, each as it was bound."""
        for host, consumer in pause.consumers.items():
            if host in hosts:
                arguments = make_arguments(pause.queue, consumer)
                await self._asker.ask(
                    {ADD_CONSUMER: arguments}, [host], ANSWER_TIMEOUT_S
                )

    async def _list_living(self) -> dict[str, WorkerView]:
        workers = await self._store.list_workers(now=time.time())
        return {one.hostname: one for one in workers if one.state in LIVING_STATES}

    async def _ask_consumers(
        self, living: Mapping[str, WorkerView]
    ) -> Mapping[str, list[object]]:
        """Return what workers say that they consume, known ones and others."""
        expected = {host: one.processes or 1 for host, one in living.items()}
        answers = await self._asker.ask(
            {QUEUES: {}}, sorted(living), ANSWER_TIMEOUT_S, expected, all_hosts=True
        )
        return answers.get(QUEUES, {})

    async def _save(self, order: Order, state: str, message: str) -> Order:
        order = msgspec.structs.replace(order, state=state, message=message)
        await self._orders.book.save(order)
        return order

    async def _end(self, order: Order, state: str, message: str) -> Order:
        if order.is_ended:
            return order
        ended = to_rfc3339(time.time())
        await self._audit.record(order.kind, order.target, name=order.id, outcome=state)
        return await self._save(
            msgspec.structs.replace(order, ended_at=ended), state, message
        )


DONE = {
    PAUSE_QUEUE: "No worker consumes the queue; it stays so until it is resumed.",
    RESUME_QUEUE: (
        "The workers whose consumers were cancelled consume the queue again, as far as "
        "they still run."
    ),
}
