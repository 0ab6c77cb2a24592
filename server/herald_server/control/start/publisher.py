"""Publish tasks to Celery: register in the store first, then send to the broker.

A task that Herald sent is never unknown; one that could not be sent is withdrawn from
the store. Celery's calls block, so they run in threads.
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

from herald_core.errors import HeraldError, InvalidInput, StoreError
from herald_core.model.events.event import MAX_TEXT, Event, shorten
from herald_core.model.events.trace_context import parse_trace_id
from herald_core.model.tasks.views import PENDING, TaskView
from herald_core.store.ports import Writer
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.broker.connection import describe_broker_error
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_server.control.start.send_log import SendLog, run_while_moving
from herald_server.control.start.send_options import SendOptions

log = logging.getLogger(__name__)

T = TypeVar("T")

SEND_TIMEOUT_S = 10.0
"""Seconds in which one task or a group must be sent."""

SILENCE_TIMEOUT_S = 4.0
"""Seconds in which the broker must take the next message: some clients wait for 5 s.
Those over HTTP, as SQS, must take all in `SEND_TIMEOUT_S`."""

MAX_ARGS_CHARS = 1024
"""Characters of arguments that travel in events, as Celery's own."""


class BrokerUnreachable(HeraldError):
    """The broker does not respond, or did not accept a message."""


class QueuesUnknown(BrokerUnreachable):
    """The project's queues are configured differently, so no worker would read it."""


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One task to publish."""

    task_id: str
    name: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = {}
    options: SendOptions = SendOptions()
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None


class StartResult(msgspec.Struct, frozen=True):
    """A published task. `queued_at` and `eta` are RFC 3339.

    `repeated`: it had been started before with the same idempotency key. `status` is
    then its final one, if it has ended.
    """

    task_id: str
    task_type: str
    name: str
    queued_at: str
    estimated_duration: str
    repeated: bool = False
    status: str = "queued"
    eta: str | None = None
    queue: str | None = None
    tags: tuple[str, ...] = ()


class GroupStartResult(msgspec.Struct, frozen=True):
    """A published group or chain, its members in order."""

    group_id: str
    tasks: tuple[StartResult, ...]
    queued_at: str


class TaskPublisher:
    """Registers tasks in `store` and publishes them through `app`."""

    def __init__(
        self, app: Celery, store: Writer, redact: Callable[[str], str] = str
    ) -> None:
        self.app = app
        self._store = store
        self._redact = redact

    async def register(self, orders: Sequence[TaskSpec], now: float) -> None:
        """Store `orders` as pending.

        Raises `StoreError`, `BrokerUnreachable` if it does not answer, and
        `QueuesUnknown` if no worker would find them.
        """
        await self._check_options()
        await self._store.store(
            [self._make_event(order, now) for order in orders], now=now
        )

    async def _check_options(self) -> None:
        """Check that workers read these queues; take over their options."""
        check = get_project_options(self.app).check
        try:
            with anyio.fail_after(self._silence_s):
                problem = await to_thread.run_sync(check, abandon_on_cancel=True)
        except TimeoutError as error:
            raise self._explain_failure(error, [], SendLog()) from error
        except Exception as error:  # the sending reports what is wrong with the broker
            log.debug("the options of the project could not be checked: %s", error)
            return
        if problem:
            raise QueuesUnknown(f"nothing was sent: {problem}")

    def _make_event(self, order: TaskSpec, now: float) -> Event:
        options = order.options
        return Event(
            kind="sent",
            source="submitted",
            task_id=order.task_id,
            at=now,
            retries=0,
            name=order.name,
            args=self._format_value(order.args),
            kwargs=self._format_value(dict(order.kwargs)),
            root_id=order.root_id or order.task_id,
            parent_id=order.parent_id,
            group_id=order.group_id,
            queue=options.queue,
            priority=options.priority,
            tags=options.all_tags or None,
            trace_id=parse_trace_id(options.traceparent),
            eta=options.eta,
            expires=options.expires,
        )

    def _format_value(self, value: object, max_chars: int = MAX_TEXT) -> str:
        return self._redact(shorten(repr(value), max_chars))

    async def send(self, order: TaskSpec) -> None:
        """Register and publish one task. Raises as `deliver`."""

        def send(log: SendLog) -> None:
            log.begin(order.task_id)
            self.send_now(order)
            log.finish(order.task_id)

        await self.deliver([order], send)

    def send_now(self, order: TaskSpec) -> None:
        """Publish one registered task, within `connect_and_send`."""
        cast(Any, self.app).send_task(
            order.name,
            args=order.args,
            kwargs=dict(order.kwargs),
            task_id=order.task_id,
            retry=False,
            root_id=order.root_id,
            parent_id=order.parent_id,
            **self._format_arguments(order),
            **order.options.for_celery(),
        )

    async def deliver(
        self, orders: Sequence[TaskSpec], send: Callable[[SendLog], None]
    ) -> None:
        """Register `orders` and call `send` in a thread; withdraw what is not sent.

        `send` records each message. Raises `BrokerUnreachable` once the broker is
        silent for `SILENCE_TIMEOUT_S` seconds, and after `SEND_TIMEOUT_S` at the
        latest; `InvalidInput`, `StoreError`.
        """
        sending = SendLog()
        await self.register(orders, time.time())
        try:
            await run_while_moving(
                lambda: self.connect_and_send(lambda: send(sending)),
                sending,
                self._silence_s,
                SEND_TIMEOUT_S,
            )
        except BaseException as error:
            sending.close()
            left = [one.task_id for one in orders if one.task_id not in sending.sent]
            with anyio.CancelScope(shield=True):
                await self.withdraw(left)
            if not isinstance(error, Exception | TimeoutError):
                raise
            raise self._explain_failure(error, orders, sending) from error

    @property
    def _silence_s(self) -> float:
        return SILENCE_TIMEOUT_S if has_fanout(self.app) else SEND_TIMEOUT_S

    async def run_in_thread(self, ask: Callable[[], T]) -> T:
        """Call `ask` in a thread. Raises `BrokerUnreachable`."""
        try:
            with anyio.fail_after(self._silence_s):
                return await to_thread.run_sync(ask, abandon_on_cancel=True)
        except (OperationalError, OSError) as error:
            raise BrokerUnreachable(describe_silent_broker(self.app, error)) from error

    def connect_and_send(self, send: Callable[[], None]) -> None:
        """Connect to the broker, one attempt per host, and call `send`.

        kombu would retry to connect, and send once the broker is back: long after the
        caller got an error.
        """
        app = cast(Any, self.app)
        # Celery would subscribe this process to each result (backends/redis.py:
        # `on_task_call`), or declare a queue for them.
        app.backend.on_task_call = _skip_result
        with app.producer_or_acquire() as producer:
            connection = producer.connection
            tries = max(len(getattr(connection, "alt", ())) - 1, 0)
            connection.ensure_connection(
                max_retries=tries,
                interval_start=0,
                interval_step=0,
                timeout=SEND_TIMEOUT_S,
            )
        send()

    async def withdraw(self, ids: Sequence[str]) -> None:
        """Delete registered tasks that were not sent; an error is logged."""
        try:
            await self._store.withdraw(ids)
        except StoreError as error:
            log.warning("%d tasks that were not sent stay pending: %s", len(ids), error)

    def _explain_failure(
        self, error: Exception, orders: Sequence[TaskSpec], sending: SendLog
    ) -> HeraldError:
        """Return the error for the caller of `orders`, of which some may be sent."""
        sent = len(sending.sent)
        if isinstance(error, HeraldError):
            return error
        if isinstance(error, QueueNotFound) and not sent:
            # The app does not make queues (task_create_missing_queues).
            return InvalidInput(f"the app knows no queue {error}", "queue")
        if isinstance(error, TypeError) and not sent:
            # A task that this process has loaded checks its arguments itself.
            return InvalidInput(f"the task does not take these arguments: {error}")
        message = describe_silent_broker(self.app, error)
        if isinstance(error, TimeoutError) and sending.under_way:
            message += (
                "; it may still take what was sent, which shows up as"
                f" {sending.under_way} then"
            )
        elif not sent:
            message += "; nothing was sent"
        if sent:
            group = orders[0].group_id
            message += f"; {sent} of {len(orders)} tasks of the group {group} were sent"
        return BrokerUnreachable(message)

    def _format_arguments(self, order: TaskSpec) -> dict[str, str]:
        return {
            "argsrepr": self._format_value(order.args, MAX_ARGS_CHARS),
            "kwargsrepr": self._format_value(dict(order.kwargs), MAX_ARGS_CHARS),
        }

    def make_signature(self, order: TaskSpec, *, immutable: bool) -> Any:
        """Return the task as a Celery signature, for a group or chain."""
        made = cast(Any, self.app).signature(
            order.name,
            args=order.args,
            kwargs=dict(order.kwargs),
            immutable=immutable,
        )
        texts = self._format_arguments(order)
        if not immutable:
            # Its arguments are known only after the previous task has finished.
            del texts["argsrepr"]
        options = order.options.for_celery()
        return made.set(task_id=order.task_id, **texts, **options)


def _skip_result(producer: object, task_id: str) -> None:
    """Subscribe to no result: the monitor does."""


def describe_silent_broker(app: Celery, error: BaseException) -> str:
    """Return a message about a broker that cannot be reached, or refuses."""
    return describe_broker_error(app, error, "it does not answer")


def make_pending_view(order: TaskSpec) -> TaskView:
    """Return the task as it will be stored."""
    return TaskView(
        id=order.task_id,
        name=order.name,
        state=PENDING,
        queue=order.options.queue,
        tags=order.options.all_tags or None,
        root_id=order.root_id,
        parent_id=order.parent_id,
        group_id=order.group_id,
        trace_id=parse_trace_id(order.options.traceparent),
    )
