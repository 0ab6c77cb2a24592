"""Start, cancel and retry tasks: the only module that publishes to Celery."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import msgspec
from celery import Celery

from herald_core.errors import InvalidInput
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.key_value import MemoryKeyValueStore
from herald_core.store.ports import Store
from herald_server.auth.audit import AuditLog
from herald_server.auth.quotas.start_limits import StartLimits
from herald_server.auth.request_context import get_identity
from herald_server.auth.scoped_store import get_unscoped, scope_store
from herald_server.catalog.catalog import (
    MAX_NAME_CHARS,
    Catalog,
    TaskType,
    is_valid_name,
)
from herald_server.control.cancel.canceller import Canceller, CancelResult
from herald_server.control.cancel.group import cancel_members
from herald_server.control.cancel.outcomes import make_unknown_result
from herald_server.control.cancel.task_finder import TaskLocator
from herald_server.control.cancel.worker_mailbox import WorkerMailbox
from herald_server.control.queue_check import QueueValidator
from herald_server.control.registered_tasks import CatalogLearner
from herald_server.control.start.canvas import (
    MemberSpec,
    check_size,
    make_chain_requests,
    make_group_requests,
    send_chain,
    send_group,
)
from herald_server.control.start.consent import TicketIssuer
from herald_server.control.start.decision import Decision, StartRequest
from herald_server.control.start.idempotency import (
    make_fingerprint,
    make_idempotent_id,
    run_once,
)
from herald_server.control.start.publisher import (
    BrokerUnreachable,
    GroupStartResult,
    StartResult,
    TaskPublisher,
    TaskSpec,
)
from herald_server.control.start.retry import make_retry_request
from herald_server.control.start.send_options import SendOptions
from herald_server.control.start_decider import StartDecider
from herald_server.insight.stats.durations import RuntimeEstimator
from herald_server.push.log.hub import Hub

__all__ = [
    "BrokerUnreachable",
    "CancelResult",
    "Control",
    "GroupStartResult",
    "StartResult",
]


class Control:
    """Publishes through `app`, and registers in `store` what it publishes.

    A caller can act only on tasks that it can see, within the limits of `permits`; each
    action is recorded in `audit`.
    """

    def __init__(
        self,
        app: Celery,
        store: Store,
        hub: Hub,
        catalog: Catalog,
        redact: Callable[[str], str] = str,
        permits: StartLimits | None = None,
        audit: AuditLog | None = None,
        consents: TicketIssuer | None = None,
    ) -> None:
        self.app = app
        self._store = scope_store(store)
        self.publisher = TaskPublisher(app, store, redact)
        self.catalog = catalog
        self.consents = consents or TicketIssuer(get_unscoped(store))
        self.registered = CatalogLearner(app, get_unscoped(store), catalog)
        self.queues = QueueValidator(self.publisher, get_unscoped(store))
        self.decider = StartDecider(
            catalog, self.registered, self.queues, self.consents
        )
        self._start_limits = permits or StartLimits()
        self._audit = audit or AuditLog(MemoryKeyValueStore())
        self.mailbox = WorkerMailbox(app)
        self.locator = TaskLocator(app, get_unscoped(store), self.mailbox, redact)
        self.canceller = Canceller(self.mailbox, get_unscoped(store), hub, self.locator)
        self.durations = RuntimeEstimator(store)

    # -- one task ------------------------------------------------------------------

    async def start(
        self,
        task_type: str,
        params: Mapping[str, object],
        options: SendOptions = SendOptions(),  # noqa: B008 - frozen
        *,
        key: str | None = None,
        who: str = "",
        ticket: str | None = None,
    ) -> StartResult:
        """Validate, register and publish a task of the catalog.

        With a `key` it is published once for `who`, and later calls return the same
        task. Raises `CatalogError`, `PermissionDenied` and `ConfirmationRequired`
        before anything is sent (`ticket` is that of an earlier `ConfirmationRequired`),
        `BrokerUnreachable`, `StoreUnreachable`, `StartInProgress`.
        """
        task_id = make_idempotent_id(who, task_type, key) if key else str(uuid.uuid4())
        request = StartRequest(
            task_type=task_type, params=params, options=options, task_id=task_id
        )
        order, kind, _ = await self._decide(request, key, ticket)
        if not key:
            await self.publisher.send(order)
        elif not await run_once(
            self._store,
            task_id,
            lambda: self.publisher.send(order),
            make_fingerprint(params),
        ):
            return await self._find_existing(order, kind)
        await self._audit.record("start", order.task_id, name=order.name)
        return await self._make_started(order, kind, to_rfc3339(time.time()))

    async def _decide(
        self, request: StartRequest, key: str | None, ticket: str | None
    ) -> Decision:
        [decision] = await self.decider.decide([request])
        await self.decider.require_consent(decision, key, ticket)
        self._start_limits.check([decision.order.name])
        return decision

    async def _make_started(
        self, order: TaskSpec, kind: TaskType, at: str, repeated: bool = False
    ) -> StartResult:
        return StartResult(
            order.task_id,
            kind.name,
            order.name,
            at,
            await self.durations.describe(order.name, kind.duration),
            repeated,
            eta=to_rfc3339(order.options.eta) if order.options.eta else None,
            queue=order.options.queue,
            tags=order.options.all_tags,
        )

    async def _find_existing(self, order: TaskSpec, kind: TaskType) -> StartResult:
        task = await self._store.get_task(order.task_id)
        at = task.submitted_at or task.received_at or to_rfc3339(time.time())
        started = await self._make_started(order, kind, at, repeated=True)
        if not task.final:
            return started
        return msgspec.structs.replace(started, status=task.state.lower())

    async def start_request(
        self, request: StartRequest, what: str, target: str, *, ticket: str | None
    ) -> StartResult:
        """Publish the task of a request that Herald made of something stored.

        `what` and `target` are those of its audit record. Raises as `start`.
        """
        order, kind, _ = await self._decide(request, None, ticket)
        await self.publisher.send(order)
        await self._audit.record(what, target, name=order.name, outcome=order.task_id)
        return await self._make_started(order, kind, to_rfc3339(time.time()))

    # -- retry -----------------------------------------------------------------------

    async def retry(
        self,
        task_id: str,
        kwargs: Mapping[str, object] | None = None,
        options: SendOptions = SendOptions(),  # noqa: B008 - frozen
        *,
        ticket: str | None = None,
    ) -> StartResult:
        """Publish a finished task again, with its own arguments or with `kwargs`.

        The new task is its child and tagged `retry_of:ID`. Raises as `start`.
        """
        task = await self._store.get_task(task_id)
        request = make_retry_request(task, kwargs, options)
        return await self.start_request(request, "retry", task_id, ticket=ticket)

    # -- chains and groups -------------------------------------------------------------

    async def start_group(
        self,
        items: Sequence[MemberSpec],
        options: SendOptions = SendOptions(),  # noqa: B008 - frozen
    ) -> GroupStartResult:
        """Start tasks (type, params) in parallel. Raises as `start`."""
        group_id = str(uuid.uuid4())
        requests = make_group_requests(group_id, check_size(items), options)
        members = await self._decide_members(requests)
        await send_group(self.publisher, group_id, [one.order for one in members])
        await self._audit.record("start_group", group_id, count=len(members))
        return await self._make_started_group(group_id, members)

    async def start_chain(
        self,
        items: Sequence[MemberSpec],
        options: SendOptions = SendOptions(),  # noqa: B008 - frozen
        *,
        pass_results: bool = False,
    ) -> GroupStartResult:
        """Start tasks (type, params) one after another, each once the previous one has
        succeeded; with `pass_results` its result is their first argument.

        Raises as `start`.
        """
        group_id = str(uuid.uuid4())
        members = await self._decide_members(
            make_chain_requests(
                group_id, check_size(items), options, pass_results=pass_results
            )
        )
        orders = [one.order for one in members]
        await send_chain(self.publisher, orders, pass_results=pass_results)
        await self._audit.record("start_chain", group_id, count=len(members))
        return await self._make_started_group(group_id, members)

    async def _decide_members(self, requests: Sequence[StartRequest]) -> list[Decision]:
        decisions = await self.decider.decide(requests)
        self._start_limits.check([one.order.name for one in decisions])
        return decisions

    async def _make_started_group(
        self, group_id: str, members: Sequence[Decision]
    ) -> GroupStartResult:
        at = to_rfc3339(time.time())
        started = [await self._make_started(one.order, one.kind, at) for one in members]
        return GroupStartResult(group_id, tuple(started), at)

    # -- cancel ----------------------------------------------------------------------

    async def cancel(self, task_id: str) -> CancelResult:
        """Cancel a task and return the result.

        Raises `InvalidInput`, `BrokerUnreachable`, `StoreError`.
        """
        if not is_valid_name(task_id):
            raise InvalidInput(
                f"the id of a task to cancel must be a text of 1 to {MAX_NAME_CHARS} "
                "printable characters, for workers write it into their logs",
                "task_id",
            )
        who = get_identity()
        if who is not None and who.task_filter is not None:
            task = await self._store.get_task(task_id)
            if not who.can_see(task):
                return make_unknown_result(TaskView(id=task_id, state=views.UNKNOWN))
        done = (await self.canceller.cancel([task_id]))[0]
        await self._audit.record("cancel", task_id, outcome=done.outcome)
        return done

    async def cancel_group(self, group_id: str) -> list[CancelResult]:
        """Cancel all tasks of a group or chain; return nothing if it is unknown."""
        done = await cancel_members(self.canceller, self._store, group_id)
        if done:
            await self._audit.record("cancel_group", group_id, count=len(done))
        return done
