"""Sending to Celery: registered in the store first, then handed to the broker.

What Herald sent is never unknown, whatever gets lost. Celery's calls block, so
they run in threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from anyio import to_thread
from celery import Celery
from celery.exceptions import QueueNotFound
from kombu.exceptions import OperationalError

from herald_monitor.consumers import broker_refusal
from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.model.events import MAX_TEXT, Event, shorten
from herald_monitor.model.shape import PENDING, TaskImage
from herald_monitor.project_options import project_options
from herald_monitor.store import Writer
from herald_server.options import Options

log = logging.getLogger(__name__)

T = TypeVar("T")

TOLD = 1024
"""Characters of arguments that travel in events, as Celery's own."""


class BrokerUnreachable(HeraldError):
    """The broker does not answer, so nothing was sent."""


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
    """A task that was sent. `queued_at` is RFC 3339.

    `repeated`: it had been started before with the same idempotency key.
    """

    task_id: str
    task_type: str
    name: str
    queued_at: str
    estimated_duration: str
    repeated: bool = False


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
        """Send one task. Raises `BrokerUnreachable`, `BadInput`."""
        await self.do(lambda: self._send(order))

    def _send(self, order: Order) -> None:
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

    async def do(self, send: Callable[[], T]) -> T:
        """Call `send` on a thread. Raises `BrokerUnreachable`, `BadInput`."""
        try:
            return await to_thread.run_sync(send)
        except (OperationalError, OSError) as error:
            raise BrokerUnreachable(self._unreachable(error)) from error
        except QueueNotFound as error:
            # The app does not make queues (task_create_missing_queues).
            raise BadInput(f"the app knows no queue {error}", "queue") from None
        except TypeError as error:
            # A task that this process has loaded checks its arguments itself.
            raise BadInput(f"the task does not take these arguments: {error}") from None

    def _unreachable(self, error: BaseException) -> str:
        return broker_refusal(self.app, error)


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
