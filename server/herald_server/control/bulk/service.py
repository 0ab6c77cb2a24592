"""Bulk orders for all interfaces: preview, confirm, list, stop."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from herald_core.errors import InvalidInput
from herald_core.model.orders import Order
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import Store
from herald_core.system.cooperative_work import TimeSlices
from herald_server.auth.audit import AuditLog
from herald_server.auth.identity import Identity, MissingScope
from herald_server.auth.request_context import get_identity, get_task_filter
from herald_server.auth.tokens.claims import encode_filter_claim
from herald_server.control.bulk.journal import OrderJournal
from herald_server.control.bulk.order import (
    CANCEL,
    MAX_DURATION_S,
    BulkOrder,
    CountChanged,
    Outcome,
    Owner,
    UnknownOrder,
)
from herald_server.control.bulk.preview import (
    PreviewBuilder,
    describe_preview,
    evaluate_cancel,
    evaluate_retry,
)
from herald_server.control.bulk.progress import OrderProgress
from herald_server.control.bulk.request import (
    MAX_CANCELLED,
    BulkLimits,
    BulkRequest,
    parse_request,
)
from herald_server.control.bulk.selection import iter_selected
from herald_server.control.bulk.view import make_view
from herald_server.control.bulk.work.decisions import RetryDecider
from herald_server.control.bulk.work.reruns import find_reruns
from herald_server.control.order_book import OrderBook
from herald_server.control.start.idempotency import make_idempotent_id

SCOPES: Final = {"retry": "start", "cancel": "cancel"}
ADMIN: Final = "admin"
INTERNAL: Final = Identity("herald")
"""Who acts where there is no caller."""

MAX_LISTED: Final = 100


class BulkOrders:
    """Previews, confirms, lists and stops bulk orders, by the rights of the caller.

    `store` shows what the caller may see; `wake` has an order carried out at once if
    this process does so.
    """

    def __init__(
        self,
        store: Store,
        book: OrderBook,
        journal: OrderJournal,
        decider: RetryDecider,
        audit: AuditLog,
        limits: BulkLimits,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._book = book
        self._journal = journal
        self._decider = decider
        self._audit = audit
        self._limits = limits
        self._wake = wake

    async def submit(self, given: Mapping[str, object]) -> Order | dict[str, Any]:
        """Return a preview of the order in `given`, or with `expect` carry it out.

        Raises `InvalidInput`, `PermissionDenied`, `CountChanged`, `StoreError`,
        `BrokerUnreachable`.
        """
        request = parse_request(given, self._limits, time.time())
        who = get_identity() or INTERNAL
        if not who.has_scope(SCOPES[request.action]):
            raise _make_scope_error(request.action)
        if request.expect is not None and request.idempotency_key:
            known = await self._journal.read_order(_make_id(who, request))
            if known is not None:
                return await self._make_view(known)
        builder = await self._select(request)
        preview = self._make_preview(request, builder, who)
        if request.expect is None:
            return preview
        return await self._confirm(request, builder.ids, preview, who)

    # -- preview ---------------------------------------------------------------------

    async def _select(self, request: BulkRequest) -> PreviewBuilder:
        builder, slices = PreviewBuilder(request.action), TimeSlices()
        limit = self._limits.max_tasks
        if request.action == CANCEL:
            limit = min(limit, MAX_CANCELLED)
        async for page in iter_selected(self._store, request.selection, limit):
            reruns: dict[str, list[str]] = {}
            if request.action != CANCEL:
                reruns = await find_reruns(self._store, [task.id for task in page])
            for task in page:
                again = reruns.get(task.id, [])
                builder.add(task, _evaluate(request, task, again), bool(again))
                await slices.yield_if_due()
        if request.action != CANCEL:
            await self._check_names(request, builder)
        return builder

    async def _check_names(self, request: BulkRequest, builder: PreviewBuilder) -> None:
        """Foresee refusals by the catalog and the caller's rights, name by name."""
        order = _make_order(request, "", 0, INTERNAL)
        samples = {task.id: task for task in builder.samples.values()}
        decided = await self._decider.decide(order, list(samples.values()))
        for id_, one in decided.items():
            if isinstance(one, Outcome):
                builder.refuse_name(samples[id_].name or "?", one)

    def _make_preview(
        self, request: BulkRequest, builder: PreviewBuilder, who: Identity
    ) -> dict[str, Any]:
        preview = builder.build(request.selection.given)
        count = preview["count"]
        needs_admin = count > self._limits.admin_above and not who.has_scope(ADMIN)
        return {
            **preview,
            "needs_admin": needs_admin,
            "per_second": request.compute_rate(count),
            "seconds": round(preview["acts_on"] / request.compute_rate(count), 1),
            "message": describe_preview(preview),
        }

    # -- confirm ---------------------------------------------------------------------

    async def _confirm(
        self,
        request: BulkRequest,
        ids: list[str],
        preview: Mapping[str, Any],
        who: Identity,
    ) -> Order:
        if len(ids) != request.expect:
            raise CountChanged(
                f"{len(ids):,} tasks are selected now, not {request.expect:,}; nothing "
                f"was done. Look at them, and confirm with expect={len(ids)}",
                preview,
            )
        if not ids:
            raise InvalidInput("no task is selected, so there is nothing to do")
        self._check_size(request, len(ids), who)
        order = _make_order(request, _make_id(who, request), len(ids), who)
        if await self._journal.create(order, ids):
            await self._audit.record(
                f"bulk_{order.action}", order.id, count=order.count, outcome="confirmed"
            )
            await self._book.try_save(make_view(order, OrderProgress()))
        self._wake()
        return await self._make_view(order)

    def _check_size(self, request: BulkRequest, count: int, who: Identity) -> None:
        most = self._limits.admin_above
        if count > most and not who.has_scope(ADMIN):
            raise MissingScope(
                f"an order for more than {most:,} tasks needs the scope admin, which "
                "this token lacks; narrow the selection",
                ADMIN,
            )
        if count / request.compute_rate(count) > MAX_DURATION_S:
            raise InvalidInput(
                "the order would take more than two days; raise per_second",
                "per_second",
            )

    # -- orders ----------------------------------------------------------------------

    async def list_orders(self) -> list[Order]:
        """Return the newest orders that the caller may see. Raises `StoreError`.

        A task-scoped token sees its own bulk orders, others see orders of all kinds.
        """
        if get_task_filter() is None:
            return (await self._book.list_orders())[:MAX_LISTED]
        orders = [one for one in await self._journal.list_orders() if _is_visible(one)]
        return [await self._make_view(one) for one in orders[:MAX_LISTED]]

    async def get_order(self, order_id: str) -> Order:
        """Return an order. Raises `UnknownOrder`, `StoreError`."""
        order = await self._journal.read_order(order_id)
        if order is None and get_task_filter() is None:
            other = await self._book.find(order_id)
            if other is not None:
                return other
        return await self._make_view(await self._read(order_id))

    async def stop_order(self, order_id: str) -> Order:
        """Stop an order before its next task; return it as it is now.

        Raises `UnknownOrder`, `PermissionDenied`, `StoreError`.
        """
        order = await self._read(order_id)
        who = get_identity() or INTERNAL
        _require_scope(who, order.action)
        progress = await self._journal.read_progress(order_id)
        if not progress.is_over:
            await self._journal.request_stop(order_id, who.name)
            await self._audit.record("bulk_stop", order_id, count=progress.handled)
        return make_view(order, progress)

    async def _read(self, order_id: str) -> BulkOrder:
        order = await self._journal.read_order(order_id)
        if order is None or not _is_visible(order):
            raise UnknownOrder(f"there is no order {order_id[:80]!r}")
        return order

    async def _make_view(self, order: BulkOrder) -> Order:
        return make_view(order, await self._journal.read_progress(order.id))


def _require_scope(who: Identity, action: str) -> None:
    if not who.has_scope(SCOPES[action]):
        raise _make_scope_error(action)


def _make_scope_error(action: str) -> MissingScope:
    scope = SCOPES[action]
    return MissingScope(f"this token lacks the scope {scope}", scope)


def _evaluate(
    request: BulkRequest, task: TaskView, reruns: list[str]
) -> Outcome | None:
    if request.action == CANCEL:
        return evaluate_cancel(task)
    return evaluate_retry(task, reruns, request.include_rerun)


def _make_id(who: Identity, request: BulkRequest) -> str:
    if request.idempotency_key:
        return make_idempotent_id(who.name, "orders", request.idempotency_key)
    return str(uuid.uuid4())


def _make_order(
    request: BulkRequest, order_id: str, count: int, who: Identity
) -> BulkOrder:
    return BulkOrder(
        id=order_id,
        action=request.action,
        count=count,
        owner=make_owner(who),
        created_at=time.time(),
        per_second=request.compute_rate(count),
        include_rerun=request.include_rerun,
        queue=request.queue,
        selection=request.selection.summarize(),
    )


def make_owner(who: Identity) -> Owner:
    """Return the caller as it is stored with an order."""
    filters = tuple(encode_filter_claim(who.task_filter))
    return Owner(who.name, tuple(sorted(who.scopes)), filters)


def _is_visible(order: BulkOrder) -> bool:
    """Return True if the caller may see an order: a task-scoped token only its own."""
    who = get_identity()
    return who is None or who.task_filter is None or make_owner(who) == order.owner
