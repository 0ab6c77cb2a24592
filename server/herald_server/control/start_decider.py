"""Decide starts by what the catalog, the workers and a person permit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime

from herald_core.errors import InvalidInput
from herald_server.auth.identity import PermissionDenied
from herald_server.auth.request_context import get_identity
from herald_server.catalog.catalog import Catalog
from herald_server.control.queue_check import QueueValidator
from herald_server.control.registered_tasks import CatalogLearner
from herald_server.control.start.consent import ConfirmationRequired, TicketIssuer
from herald_server.control.start.decision import (
    MEMBER,
    Decision,
    StartRequest,
    compute_fingerprint,
    decide_start,
)


class StartDecider:
    """Decides the starts of the caller, see `decide_start`."""

    def __init__(
        self,
        catalog: Catalog,
        registered: CatalogLearner,
        queues: QueueValidator,
        consents: TicketIssuer,
    ) -> None:
        self._catalog = catalog
        self._registered = registered
        self._queues = queues
        self._consents = consents

    async def decide(self, requests: Sequence[StartRequest]) -> list[Decision]:
        """Return a decision for each request. Raises if one is invalid."""
        if any(request.task_type not in self._catalog for request in requests):
            await self._registered.ask_new_workers(anybody=True)
        queues = [q for one in requests for q in (one.options.queue, one.former_queue)]
        known = {*self._catalog.queue_names, *await self._queues.find_known(queues)}
        today = datetime.now(UTC).date()
        decisions = [
            self._decide_one(number, request, known, today)
            for number, request in enumerate(requests, 1)
        ]
        await self._queues.refuse_foreign(one.order.options.queue for one in decisions)
        return decisions

    def _decide_one(
        self, number: int, request: StartRequest, known: Collection[str], today: date
    ) -> Decision:
        try:
            return decide_start(get_identity(), request, self._catalog, known, today)
        except (InvalidInput, PermissionDenied) as error:
            if request.way != MEMBER:
                raise
            message = f"task {number}: {error}"
            if isinstance(error, PermissionDenied):
                raise PermissionDenied(message) from None
            raise InvalidInput(message, "tasks") from None

    async def require_consent(
        self, decision: Decision, key: str | None, ticket: str | None
    ) -> None:
        """Raise `ConfirmationRequired` if a confirmation is needed that `ticket` does
        not give."""
        if not decision.question:
            return
        who = get_identity()
        order = compute_fingerprint(who.name if who else "", decision, key)
        if not ticket or not await self._consents.redeem(ticket, order):
            raise ConfirmationRequired(
                decision.question, await self._consents.issue(order)
            )
