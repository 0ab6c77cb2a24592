"""Carry out a chunk of a bulk cancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from herald_core.store.ports import Store
from herald_server.control.bulk.order import ALREADY_ENDED, UNKNOWN, Outcome
from herald_server.control.bulk.preview import NOTHING_KNOWN
from herald_server.control.cancel.canceller import Canceller
from herald_server.control.cancel.outcomes import (
    TOO_LATE,
    UNANSWERED,
    CancelResult,
)

CANCEL_CHUNK: Final = 500
"""Tasks that are cancelled at once: workers answer for all of them together."""


class CancelWork:
    """Cancels tasks that the caller may see; `store` shows those."""

    def __init__(self, store: Store, canceller: Canceller) -> None:
        self._store = store
        self._canceller = canceller

    async def cancel(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Cancel tasks and return the outcome of each.

        A cancel may be repeated. Raises `StoreError`, `UnsupportedByBroker`,
        `BrokerUnreachable`.
        """
        tasks = await self._store.get_tasks(ids)
        known = [id_ for id_, task in zip(ids, tasks, strict=True) if task is not None]
        results = await self._canceller.cancel(known) if known else []
        unknown = dict.fromkeys(set(ids) - set(known), Outcome(UNKNOWN, NOTHING_KNOWN))
        return {one.task_id: _make_outcome(one) for one in results} | unknown


def _make_outcome(result: CancelResult) -> Outcome:
    if result.outcome == TOO_LATE:
        return Outcome(ALREADY_ENDED, result.message)
    if result.outcome in (UNKNOWN, UNANSWERED):
        return Outcome(result.outcome, result.message)
    return Outcome(result.outcome)
