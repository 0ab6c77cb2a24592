"""Sending to Celery: registered in the store first, then handed to the broker.

What Herald sent is never unknown, whatever gets lost; what it could not send is
withdrawn from the store. Celery's calls block, so they run in threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import anyio
import msgspec
from anyio import to_thread
from celery import Celery
from celery.exceptions import QueueNotFound
from kombu.exceptions import OperationalError

from herald_monitor.consumers import broker_refusal
from herald_monitor.errors import BadInput, HeraldError, StoreError
from herald_monitor.model.events import MAX_TEXT, Event, shorten
from herald_monitor.model.shape import PENDING, TaskImage
from herald_monitor.project_options import project_options
from herald_monitor.store import Writer
from herald_server.options import Options

log = logging.getLogger(__name__)

T = TypeVar("T")

SEND_WITHIN = 10.0
"""Seconds that sending may take: one task, or a group of them."""

TOLD = 1024
"""Characters of arguments that travel in events, as Celery's own."""


class BrokerUnreachable(HeraldError):
    """The broker does not answer, or did not take what was sent."""


class QueuesUnknown(BrokerUnreachable):
    """The project's queues are laid out otherwise, so no worker would read it."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One task to be sent."""

    task_id: str
    name: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = {}
    options: Options = Options()
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None


class Started(msgspec.Struct, frozen=True):
    """A task that was sent. `queued_at` and `eta` are RFC 3339.

    `repeated`: it had been started before with the same idempotency key. `status` is
    its final one then, if it has ended.
    """

    task_id: str
    task_type: str
    name: str
    queued_at: str
    estimated_duration: str
    repeated: bool = False
    status: str = "queued"
    eta: str | None = None


class StartedGroup(msgspec.Struct, frozen=True):
    """A group or chain that was sent, its members in order."""

    group_id: str
    tasks: tuple[Started, ...]
    queued_at: str


class Sender:
    """Registers orders in `store` and sends them through `app`."""

    def __init__(
        self, app: Celery, store: Writer, redact: Callable[[str], str] = str
    ) -> None:
        self.app = app
        self._store = store
        self._redact = redact

    async def register(self, orders: Sequence[Order], now: float) -> None:
        """Let the store know of `orders`.

        Raises `StoreError`, and `QueuesUnknown` if no worker would find them.
        """
        await self._check_options()
        await self._store.store([self._event(order, now) for order in orders], now=now)

    async def _check_options(self) -> None:
        """See that tasks go where workers read; take over the options of workers."""
        try:
            problem = await to_thread.run_sync(project_options(self.app).check)
        except Exception as error:  # whoever sends tells what is wrong with the broker
            log.debug("the options of the project could not be checked: %s", error)
            return
        if problem:
            raise QueuesUnknown(f"nothing was sent: {problem}")

    def _event(self, order: Order, now: float) -> Event:
        options = order.options
        return Event(
            kind="sent",
            source="submitted",
            task_id=order.task_id,
            at=now,
            retries=0,
            name=order.name,
            args=self._shown(order.args),
            kwargs=self._shown(dict(order.kwargs)),
            root_id=order.root_id or order.task_id,
            parent_id=order.parent_id,
            group_id=order.group_id,
            queue=options.queue,
            priority=options.priority,
            tags=options.all_tags or None,
            eta=options.eta,
            expires=options.expires,
        )

    def _shown(self, value: object, most: int = MAX_TEXT) -> str:
        return self._redact(shorten(repr(value), most))

    async def send(self, order: Order) -> None:
        """Register and send one task. Raises as `deliver`."""
        await self.deliver([order], lambda note: self._send(order, note))

    def _send(self, order: Order, note: Callable[[str], None]) -> None:
        cast(Any, self.app).send_task(
            order.name,
            args=order.args,
            kwargs=dict(order.kwargs),
            task_id=order.task_id,
            retry=False,
            root_id=order.root_id,
            parent_id=order.parent_id,
            **self._texts(order),
            **order.options.for_celery(),
        )
        note(order.task_id)

    async def deliver(
        self, orders: Sequence[Order], send: Callable[[Callable[[str], None]], None]
    ) -> None:
        """Register `orders` and call `send` on a thread; withdraw what is not sent.

        `send` gets a function that notes the id of each task which the broker took.
        Raises `BrokerUnreachable` after `SEND_WITHIN` seconds at the latest,
        `BadInput`, `StoreError`.
        """
        await self.register(orders, time.time())
        sent: set[str] = set()
        try:
            await self._do(lambda: send(sent.add))
        except BaseException as error:
            left = [one.task_id for one in orders if one.task_id not in sent]
            with anyio.CancelScope(shield=True):
                await self._withdraw(left)
            if not isinstance(error, Exception | TimeoutError):
                raise
            raise self._failure(error, orders, len(sent)) from error

    async def do(self, ask: Callable[[], T]) -> T:
        """Call `ask` on a thread. Raises `BrokerUnreachable`."""
        try:
            with anyio.fail_after(SEND_WITHIN):
                return await to_thread.run_sync(ask, abandon_on_cancel=True)
        except (OperationalError, OSError) as error:
            raise BrokerUnreachable(broker_trouble(self.app, error)) from error

    async def _do(self, send: Callable[[], None]) -> None:
        # A client that leaves must not leave behind what may have been sent.
        with anyio.fail_after(SEND_WITHIN, shield=True):
            await to_thread.run_sync(
                lambda: self._connected(send), abandon_on_cancel=True
            )

    def _connected(self, send: Callable[[], None]) -> None:
        """Call `send` with a line to the broker; one try for each of its hosts.

        kombu would go on trying to connect, and send once the broker is back: long
        after the sender was told that it failed.
        """
        app = cast(Any, self.app)
        # Celery would subscribe this process to each result (backends/redis.py:
        # `on_task_call`), or declare a queue for them.
        app.backend.on_task_call = _listen_to_nothing
        with app.producer_or_acquire() as producer:
            connection = producer.connection
            tries = max(len(getattr(connection, "alt", ())) - 1, 0)
            connection.ensure_connection(
                max_retries=tries,
                interval_start=0,
                interval_step=0,
                timeout=SEND_WITHIN,
            )
        send()

    async def _withdraw(self, ids: Sequence[str]) -> None:
        try:
            await self._store.withdraw(ids)
        except StoreError as error:
            log.warning("%d tasks that were not sent stay pending: %s", len(ids), error)

    def _failure(
        self, error: Exception, orders: Sequence[Order], sent: int
    ) -> HeraldError:
        """Return what to tell the sender of `orders`, of which some were `sent`."""
        if isinstance(error, HeraldError):
            return error
        if isinstance(error, QueueNotFound) and not sent:
            # The app does not make queues (task_create_missing_queues).
            return BadInput(f"the app knows no queue {error}", "queue")
        if isinstance(error, TypeError) and not sent:
            # A task that this process has loaded checks its arguments itself.
            return BadInput(f"the task does not take these arguments: {error}")
        said = broker_trouble(self.app, error)
        if isinstance(error, TimeoutError):
            said += (
                "; it may still take what was sent, which shows up as"
                f" {orders[0].task_id} then"
            )
        elif not sent:
            said += "; nothing was sent"
        if sent:
            group = orders[0].group_id
            said += f"; {sent} of {len(orders)} tasks of the group {group} were sent"
        return BrokerUnreachable(said)

    def _texts(self, order: Order) -> dict[str, str]:
        return {
            "argsrepr": self._shown(order.args, TOLD),
            "kwargsrepr": self._shown(dict(order.kwargs), TOLD),
        }

    def signature(self, order: Order, *, immutable: bool) -> Any:
        """Return the order as a link of a group or chain."""
        made = cast(Any, self.app).signature(
            order.name,
            args=order.args,
            kwargs=dict(order.kwargs),
            immutable=immutable,
        )
        texts = self._texts(order)
        if not immutable:
            # What it is called with is known only once the one before has ended.
            del texts["argsrepr"]
        options = order.options.for_celery()
        return made.set(task_id=order.task_id, **texts, **options)


def _listen_to_nothing(producer: object, task_id: str) -> None:
    """Listen to no result: the monitor does."""


def broker_trouble(app: Celery, error: BaseException) -> str:
    """Return a sentence about a broker that cannot be reached, or refuses."""
    return broker_refusal(app, error, "it does not answer")


def as_sent(order: Order) -> TaskImage:
    """Return a task as it will be once it is sent."""
    return TaskImage(
        id=order.task_id,
        name=order.name,
        state=PENDING,
        queue=order.options.queue,
        tags=order.options.all_tags or None,
        root_id=order.root_id,
        parent_id=order.parent_id,
        group_id=order.group_id,
    )
