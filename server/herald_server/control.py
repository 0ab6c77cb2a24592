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
from herald_monitor.notes import MemoryNotes
from herald_monitor.store import Store
from herald_server.audit import Audit
from herald_server.auth import NotAllowed
from herald_server.caller import current
from herald_server.cancel_outcomes import unknown
from herald_server.cancelling import Cancelled, Cancels
from herald_server.catalog import MAX_NAME, Catalog, TaskType, is_name
from herald_server.consent import Consents, Unconfirmed
from herald_server.decision import (
    MEMBER,
    Decision,
    Wish,
    decide,
    fingerprint,
)
from herald_server.durations import Durations
from herald_server.finding import Finding
from herald_server.group_cancel import cancel_members
from herald_server.grouping import (
    Item,
    bounded,
    chain_wishes,
    group_wishes,
    send_chain,
    send_group,
)
from herald_server.hub import Hub
from herald_server.once import fingerprint_of, id_for, once
from herald_server.options import Options
from herald_server.permits import Permits
from herald_server.queue_check import QueueCheck
from herald_server.registered import Registered
from herald_server.retry import wish_again
from herald_server.seen import seen, whole
from herald_server.sending import (
    BrokerUnreachable,
    Order,
    Sender,
    Started,
    StartedGroup,
)
from herald_server.worker_mailbox import WorkerMailbox

__all__ = ["BrokerUnreachable", "Cancelled", "Control", "Started", "StartedGroup"]


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
        consents: Consents | None = None,
    ) -> None:
        self.app = app
        self._store = seen(store)
        self._sender = Sender(app, store, redact)
        self.catalog = catalog
        self.consents = consents or Consents(whole(store))
        self.registered = Registered(app, whole(store), catalog)
        self.queues = QueueCheck(self._sender, whole(store))
        self._permits = permits or Permits()
        self._audit = audit or Audit(MemoryNotes())
        self.mailbox = WorkerMailbox(app)
        self.finding = Finding(app, whole(store), self.mailbox, redact)
        self.cancels = Cancels(self.mailbox, whole(store), hub, self.finding)
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
        ticket: str | None = None,
    ) -> Started:
        """Check, register and send a task of the catalog.

        With a `key` it is sent once for `who`, and every later call answers with
        the first one's task. Raises `CatalogError`, `NotAllowed` and `Unconfirmed`
        before anything is sent (`ticket` is an earlier `Unconfirmed`'s),
        `BrokerUnreachable`, `StoreUnreachable`, `BeingStarted`.
        """
        task_id = id_for(who, task_type, key) if key else str(uuid.uuid4())
        wish = Wish(
            task_type=task_type, params=params, options=options, task_id=task_id
        )
        [decision] = await self._decide([wish])
        order, kind = decision.order, decision.kind
        await self._agree(decision, key, ticket)
        self._permits.check([order.name])
        what = fingerprint_of(params)
        if key and not await once(
            self._store, task_id, lambda: self._send(order), what
        ):
            return await self._before(order, kind)
        if not key:
            await self._send(order)
        await self._audit.record("start", order.task_id, name=order.name)
        return await self._started(order, kind, rfc3339(time.time()))

    async def _decide(self, wishes: Sequence[Wish]) -> list[Decision]:
        """Return what may be sent; all of it, or nothing is. See `decide`."""
        if any(wish.task_type not in self.catalog for wish in wishes):
            await self.registered.look(anybody=True)
        asked = [q for wish in wishes for q in (wish.options.queue, wish.former_queue)]
        known = {*self.catalog.queue_names, *await self.queues.known(asked)}
        today = datetime.now(UTC).date()
        found: list[Decision] = []
        for number, wish in enumerate(wishes, 1):
            try:
                found.append(decide(current(), wish, self.catalog, known, today))
            except (BadInput, NotAllowed) as error:
                if wish.way != MEMBER:
                    raise
                said = f"task {number}: {error}"
                if isinstance(error, NotAllowed):
                    raise NotAllowed(said) from None
                raise BadInput(said, "tasks") from None
        await self.queues.refuse_foreign(one.order.options.queue for one in found)
        return found

    async def _agree(
        self, decision: Decision, key: str | None, ticket: str | None
    ) -> None:
        """Raise `Unconfirmed` unless a person need not agree, or did with `ticket`."""
        if not decision.question:
            return
        who = current()
        order = fingerprint(who.name if who else "", decision, key)
        if not ticket or not await self.consents.redeem(ticket, order):
            raise Unconfirmed(decision.question, await self.consents.issue(order))

    async def _send(self, order: Order) -> None:
        await self._sender.send(order)

    async def _started(
        self, order: Order, kind: TaskType, at: str, repeated: bool = False
    ) -> Started:
        return Started(
            order.task_id,
            kind.name,
            order.name,
            at,
            await self.durations.said(order.name, kind.duration),
            repeated,
            eta=rfc3339(order.options.eta) if order.options.eta else None,
        )

    async def _before(self, order: Order, kind: TaskType) -> Started:
        task = await self._store.task(order.task_id)
        at = task.submitted_at or task.received_at or rfc3339(time.time())
        started = await self._started(order, kind, at, repeated=True)
        if not task.final:
            return started
        return msgspec.structs.replace(started, status=task.state.lower())

    # -- again -----------------------------------------------------------------------

    async def retry(
        self,
        task_id: str,
        kwargs: Mapping[str, object] | None = None,
        options: Options = Options(),  # noqa: B008 - frozen
        *,
        ticket: str | None = None,
    ) -> Started:
        """Send a task that is over again, with its own arguments or with `kwargs`.

        The new one is its child and tagged `retry_of:ID`. Raises as `start`.
        """
        task = await self._store.task(task_id)
        [decision] = await self._decide([wish_again(task, kwargs, options)])
        order = decision.order
        await self._agree(decision, None, ticket)
        self._permits.check([order.name])
        await self._send(order)
        await self._audit.record(
            "retry", task_id, name=order.name, outcome=order.task_id
        )
        return await self._started(order, decision.kind, rfc3339(time.time()))

    # -- many --------------------------------------------------------------------------

    async def start_group(
        self,
        items: Sequence[Item],
        options: Options = Options(),  # noqa: B008 - frozen
    ) -> StartedGroup:
        """Start tasks (type, params) side by side. Raises as `start`."""
        group_id = str(uuid.uuid4())
        found = await self._decide(group_wishes(group_id, bounded(items), options))
        orders = [one.order for one in found]
        self._permits.check([order.name for order in orders])
        await send_group(self._sender, group_id, orders)
        await self._audit.record("start_group", group_id, count=len(orders))
        return await self._all(group_id, found)

    async def start_chain(
        self,
        items: Sequence[Item],
        options: Options = Options(),  # noqa: B008 - frozen
        *,
        pass_results: bool = False,
    ) -> StartedGroup:
        """Start tasks (type, params) one after another, each once the one before
        has succeeded; with `pass_results` its result is their first argument.

        Raises as `start`.
        """
        group_id = str(uuid.uuid4())
        found = await self._decide(
            chain_wishes(group_id, bounded(items), options, pass_results=pass_results)
        )
        orders = [one.order for one in found]
        self._permits.check([order.name for order in orders])
        await send_chain(self._sender, orders, pass_results=pass_results)
        await self._audit.record("start_chain", group_id, count=len(orders))
        return await self._all(group_id, found)

    async def _all(self, group_id: str, found: Sequence[Decision]) -> StartedGroup:
        at = rfc3339(time.time())
        started = [await self._started(one.order, one.kind, at) for one in found]
        return StartedGroup(group_id, tuple(started), at)

    # -- cancelling ------------------------------------------------------------------

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task and say what came of it, not what was asked.

        Raises `BadInput`, `BrokerUnreachable`, `StoreError`.
        """
        if not is_name(task_id):
            raise BadInput(
                f"the id of a task to cancel must be a text of 1 to {MAX_NAME} "
                "printable characters, for workers write it into their logs",
                "task_id",
            )
        who = current()
        if who is not None and who.only is not None:
            task = await self._store.task(task_id)
            if not who.sees(task):
                return unknown(TaskImage(id=task_id, state=shape.UNKNOWN))
        done = (await self.cancels.cancel([task_id]))[0]
        await self._audit.record("cancel", task_id, outcome=done.outcome)
        return done

    async def cancel_group(self, group_id: str) -> list[Cancelled]:
        """Cancel all tasks of a group or chain; none if nothing is known of it."""
        done = await cancel_members(self.cancels, self._store, group_id)
        if done:
            await self._audit.record("cancel_group", group_id, count=len(done))
        return done
