"""Starting, cancelling and repeating tasks: the only room that sends to Celery."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from celery import Celery

from herald_monitor.errors import BadInput
from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.traces import TAG as TRACE_ID
from herald_monitor.notes import MemoryNotes
from herald_monitor.store import Store
from herald_server.arguments import arguments_of
from herald_server.audit import Audit
from herald_server.caller import current
from herald_server.cancelling import Cancelled, Cancels, hidden
from herald_server.catalog import Catalog, TaskType
from herald_server.durations import Durations
from herald_server.group_cancel import cancel_members
from herald_server.grouping import (
    MOST,
    Member,
    chain_orders,
    group_orders,
    send_chain,
    send_group,
)
from herald_server.hub import Hub
from herald_server.once import id_for, once
from herald_server.options import Options
from herald_server.permits import Permits
from herald_server.seen import seen, whole
from herald_server.sending import (
    BrokerUnreachable,
    Order,
    Sender,
    Started,
    StartedGroup,
    as_sent,
)

__all__ = ["BrokerUnreachable", "Cancelled", "Control", "Started", "StartedGroup"]

RETRY_OF = "retry_of:"
"""Begins the tag that names the task which was retried."""

OTHERS = "admin"
"""The scope for tasks that are in no catalog."""


class Control:
    """Sends to Celery through `app`, and registers in `store` what it sends.

    Whoever is being served can order for tasks that they may see only, as many as
    `permits` permits; each order is told to `audit`.
    """

    def __init__(
        self,
        app: Celery,
        store: Store,
        hub: Hub,
        catalog: Catalog,
        redact: Callable[[str], str] = str,
        permits: Permits | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.app = app
        self._store = seen(store)
        self._sender = Sender(app, store, redact)
        self.catalog = catalog
        self._permits = permits or Permits()
        self._audit = audit or Audit(MemoryNotes())
        self.cancels = Cancels(self._sender, whole(store), hub)
        self.durations = Durations(store)

    # -- one task ------------------------------------------------------------------

    async def start(
        self,
        task_type: str,
        params: Mapping[str, object],
        options: Options = Options(),  # noqa: B008 - frozen
        *,
        key: str | None = None,
        who: str = "",
    ) -> Started:
        """Check, register and send a task of the catalog.

        With a `key` it is sent once for `who`, and every later call answers with
        the first one's task. Raises `CatalogError` before anything is sent,
        `BrokerUnreachable`, `StoreUnreachable`, `BeingStarted`.
        """
        kind = self.catalog[task_type]
        kwargs = kind.check(params, datetime.now(UTC).date())
        task_id = id_for(who, task_type, key) if key else str(uuid.uuid4())
        order = Order(
            task_id=task_id,
            name=kind.celery_name,
            kwargs=kwargs,
            options=self._queued(options, kind),
        )
        self._permit([order])
        if key and not await once(self._store, task_id, lambda: self._send(order)):
            return await self._before(order, kind)
        if not key:
            await self._send(order)
        await self._audit.record("start", order.task_id, name=order.name)
        return await self._started(order, kind, rfc3339(time.time()))

    def _permit(self, orders: Sequence[Order]) -> None:
        self._permits.check([as_sent(order) for order in orders])

    async def _send(self, order: Order) -> None:
        await self._sender.register([order], time.time())
        await self._sender.send(order)

    def _queued(self, options: Options, kind: TaskType | None) -> Options:
        if options.queue or kind is None or not kind.queue:
            return options
        return msgspec.structs.replace(options, queue=kind.queue)

    async def _started(
        self, order: Order, kind: TaskType | None, at: str, repeated: bool = False
    ) -> Started:
        usual = kind.duration if kind else "unknown"
        return Started(
            order.task_id,
            kind.name if kind else order.name,
            order.name,
            at,
            await self.durations.said(order.name, usual),
            repeated,
        )

    async def _before(self, order: Order, kind: TaskType) -> Started:
        task = await self._store.task(order.task_id)
        at = task.submitted_at or task.received_at or rfc3339(time.time())
        return await self._started(order, kind, at, repeated=True)

    # -- again -----------------------------------------------------------------------

    def type_for(self, name: str | None) -> TaskType | None:
        """Return the type in the catalog under which tasks of a Celery name start."""
        if name is None:
            return None
        return self.catalog.of_celery_name(name) or self.catalog.allowed(name)

    def scope_for(self, task: TaskImage) -> str:
        """Return the scope that starting `task` again takes."""
        kind = self.type_for(task.name)
        return kind.scope if kind else OTHERS

    async def retry(
        self,
        task_id: str,
        kwargs: Mapping[str, object] | None = None,
        options: Options = Options(),  # noqa: B008 - frozen
    ) -> Started:
        """Send a task that is over again, with its own arguments or with `kwargs`.

        The new one is its child and tagged `retry_of:ID`. Raises `BadInput`,
        `BrokerUnreachable`, `StoreError`.
        """
        task = await self._store.task(task_id)
        name = retriable(task)
        args, own = ((), dict(kwargs)) if kwargs is not None else arguments_of(task)
        kind = self.type_for(name)
        if kind is not None and not args:
            own = kind.check(own, datetime.now(UTC).date())
        # Of its own are what it retries, and its trace.
        left = (RETRY_OF, TRACE_ID)
        before = tuple(t for t in task.tags or () if not t.startswith(left))
        usual = self._queued(options, kind)
        order = Order(
            task_id=str(uuid.uuid4()),
            name=name,
            args=args,
            kwargs=own,
            options=msgspec.structs.replace(
                usual,
                queue=options.queue or task.queue or usual.queue,
                priority=task.priority if usual.priority is None else usual.priority,
                tags=(*before, *options.tags, RETRY_OF + task_id),
            ),
            root_id=task.root_id or task_id,
            parent_id=task_id,
        )
        self._permit([order])
        await self._send(order)
        await self._audit.record("retry", task_id, name=name, outcome=order.task_id)
        return await self._started(order, kind, rfc3339(time.time()))

    # -- many --------------------------------------------------------------------------

    async def start_group(
        self,
        items: Sequence[tuple[str, Mapping[str, object]]],
        options: Options = Options(),  # noqa: B008 - frozen
    ) -> StartedGroup:
        """Start tasks (type, params) side by side. Raises as `start`."""
        group_id = str(uuid.uuid4())
        members = self.members(items)
        orders = group_orders(group_id, members, options)
        self._permit(orders)
        await self._sender.register(orders, time.time())
        await send_group(self._sender, group_id, orders)
        await self._audit.record("start_group", group_id, count=len(orders))
        return await self._all(group_id, orders)

    async def start_chain(
        self,
        items: Sequence[tuple[str, Mapping[str, object]]],
        options: Options = Options(),  # noqa: B008 - frozen
        *,
        pass_results: bool = False,
    ) -> StartedGroup:
        """Start tasks (type, params) one after another, each once the one before
        has succeeded; with `pass_results` its result is their first argument.

        Raises as `start`.
        """
        group_id = str(uuid.uuid4())
        orders = chain_orders(group_id, self.members(items), options)
        self._permit(orders)
        await self._sender.register(orders, time.time())
        await send_chain(self._sender, orders, pass_results=pass_results)
        await self._audit.record("start_chain", group_id, count=len(orders))
        return await self._all(group_id, orders)

    def members(
        self, items: Sequence[tuple[str, Mapping[str, object]]]
    ) -> list[Member]:
        """Return checked members. Raises `BadInput` that says which is wrong."""
        if not 1 <= len(items) <= MOST:
            raise BadInput(f"tasks must be a list of 1 to {MOST} tasks", "tasks")
        today = datetime.now(UTC).date()
        found: list[Member] = []
        for number, (task_type, params) in enumerate(items, 1):
            try:
                kind = self.catalog[task_type]
                kwargs = kind.check(params, today)
            except BadInput as error:
                raise BadInput(f"task {number}: {error}", "tasks") from None
            found.append(Member(kind.celery_name, kwargs, kind.queue))
        return found

    async def _all(self, group_id: str, orders: Sequence[Order]) -> StartedGroup:
        at = rfc3339(time.time())
        started = [await self._started(o, self.type_for(o.name), at) for o in orders]
        return StartedGroup(group_id, tuple(started), at)

    # -- cancelling ------------------------------------------------------------------

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task and say what came of it, not what was asked.

        Raises `BrokerUnreachable`, `StoreError`.
        """
        who = current()
        if who is not None and who.only is not None:
            task = await self._store.task(task_id)
            if not who.sees(task):
                return hidden(task_id)
        done = (await self.cancels.cancel([task_id]))[0]
        await self._audit.record("cancel", task_id, outcome=done.outcome)
        return done

    async def cancel_group(self, group_id: str) -> list[Cancelled]:
        """Cancel all tasks of a group or chain; none if nothing is known of it."""
        done = await cancel_members(self.cancels, self._store, group_id)
        if done:
            await self._audit.record("cancel_group", group_id, count=len(done))
        return done


def retriable(task: TaskImage) -> str:
    """Return the name of a task that may be sent again. Raises `BadInput`."""
    if task.state in (shape.UNKNOWN, shape.EXPIRED):
        raise BadInput(
            f"nothing is known (any more) of task {task.id!r}; start it anew", "task_id"
        )
    if not task.final and task.state != shape.LOST:
        raise BadInput(
            f"this task is still {task.state.lower()}: wait for its end, or cancel it "
            "first",
            "task_id",
        )
    if task.name is None:
        raise BadInput("no event told the name of this task; start it anew", "task_id")
    return task.name
