"""Decide the retries of an order: what is sent, or why not."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.tasks.views import TaskView
from herald_server.auth.identity import PermissionDenied
from herald_server.catalog.catalog import Catalog, CatalogError
from herald_server.control.bulk.order import (
    NOT_RESENDABLE,
    ORDER_TAG,
    REFUSED,
    UNKNOWN_TYPE,
    BulkOrder,
    Outcome,
)
from herald_server.control.start.decision import Decision, StartRequest
from herald_server.control.start.publisher import TaskSpec
from herald_server.control.start.retry import make_retry_request
from herald_server.control.start.send_options import SendOptions
from herald_server.control.start_decider import StartDecider

NAMESPACE = uuid.UUID("b1f6c3de-50c8-5b6c-8f0e-3f9f4d2a77aa")

ASKS_FOR_CONSENT = (
    "tasks of this type ask for the confirmation of each; run it again alone"
)


def make_new_id(order_id: str, task_id: str) -> str:
    """Return the id of the rerun of a task in an order: always the same."""
    return str(uuid.uuid5(NAMESPACE, f"{order_id}\n{task_id}"))


def make_request(order: BulkOrder, task: TaskView) -> StartRequest:
    """Return the start request of a task's rerun. Raises `InvalidInput`."""
    options = SendOptions(queue=order.queue, tags=(ORDER_TAG + order.id,))
    request = make_retry_request(task, None, options)
    return msgspec.structs.replace(request, task_id=make_new_id(order.id, task.id))


class RetryDecider:
    """Decides retries by the rights of the caller, see `StartDecider`."""

    def __init__(self, decider: StartDecider, catalog: Catalog) -> None:
        self._decider = decider
        self._catalog = catalog

    async def decide(
        self, order: BulkOrder, tasks: Sequence[TaskView]
    ) -> dict[str, TaskSpec | Outcome]:
        """Return for each task what is sent, or why it is not.

        Raises `BrokerUnreachable`, `StoreError`.
        """
        found: dict[str, TaskSpec | Outcome] = {}
        requests: dict[str, StartRequest] = {}
        for task in tasks:
            try:
                requests[task.id] = make_request(order, task)
            except InvalidInput as error:
                found[task.id] = Outcome(NOT_RESENDABLE, str(error))
        return found | await self._decide_all(requests)

    async def _decide_all(
        self, requests: Mapping[str, StartRequest]
    ) -> dict[str, TaskSpec | Outcome]:
        if not requests:
            return {}
        try:
            decisions = await self._decider.decide(list(requests.values()))
        except (InvalidInput, CatalogError, PermissionDenied):
            # One is refused: each is decided alone.
            return {id_: await self._decide_one(one) for id_, one in requests.items()}
        return {
            id_: _check_consent(one)
            for id_, one in zip(requests, decisions, strict=True)
        }

    async def _decide_one(self, request: StartRequest) -> TaskSpec | Outcome:
        try:
            [decision] = await self._decider.decide([request])
        except PermissionDenied as error:
            return Outcome(REFUSED, str(error))
        except CatalogError as error:
            known = self._catalog.list_types(request.task_type)
            return Outcome(NOT_RESENDABLE if known else UNKNOWN_TYPE, str(error))
        except InvalidInput as error:
            unknown = request.unknown is not None
            return Outcome(NOT_RESENDABLE if unknown else REFUSED, str(error))
        return _check_consent(decision)


def _check_consent(decision: Decision) -> TaskSpec | Outcome:
    if decision.question:
        return Outcome(REFUSED, ASKS_FOR_CONSENT)
    return decision.order
