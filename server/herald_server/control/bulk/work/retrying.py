"""Carry out a chunk of a bulk retry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import Store
from herald_server.control.bulk.order import SENT, BulkOrder, Outcome
from herald_server.control.bulk.preview import evaluate_retry
from herald_server.control.bulk.work.decisions import RetryDecider, make_new_id
from herald_server.control.bulk.work.evidence import (
    EvidenceFinder,
    SendEvidence,
    is_sent,
)
from herald_server.control.bulk.work.reruns import find_reruns
from herald_server.control.bulk.work.sender import ChunkSender, SendResult
from herald_server.control.start.publisher import TaskSpec

Prepared = tuple[dict[str, TaskSpec], dict[str, Outcome]]
"""What is sent, and the outcomes of the rest, by the id of the task that runs again."""


class RetryWork:
    """Prepares, sends and looks for reruns, by the rights of the caller.

    `store` shows what the caller may see.
    """

    def __init__(
        self,
        store: Store,
        decider: RetryDecider,
        sender: ChunkSender,
        evidence: EvidenceFinder,
    ) -> None:
        self.lock = asyncio.Lock()
        """Held from `prepare` to the end of `send`: of two orders for one task the
        second finds the rerun of the first."""
        self._store = store
        self._decider = decider
        self._sender = sender
        self._evidence = evidence

    async def prepare(self, order: BulkOrder, ids: Sequence[str]) -> Prepared:
        """Return what is sent for `ids`, and the outcomes of the rest.

        Raises `StoreError`, `BrokerUnreachable`.
        """
        outcomes = await self._find_sent(order, ids)
        left = [id_ for id_ in ids if id_ not in outcomes]
        tasks = await self._read_tasks(left)
        reruns = await find_reruns(self._store, left)
        for task in tasks:
            own = make_new_id(order.id, task.id)
            others = [id_ for id_ in reruns.get(task.id, ()) if id_ != own]
            outcome = evaluate_retry(task, others, order.include_rerun)
            if outcome is not None:
                outcomes[task.id] = outcome
        wanted = [task for task in tasks if task.id not in outcomes]
        decided = await self._decider.decide(order, wanted)
        specs = {i: one for i, one in decided.items() if isinstance(one, TaskSpec)}
        refused = {i: one for i, one in decided.items() if isinstance(one, Outcome)}
        return specs, outcomes | refused

    async def _find_sent(
        self, order: BulkOrder, ids: Sequence[str]
    ) -> dict[str, Outcome]:
        new_ids = [make_new_id(order.id, id_) for id_ in ids]
        tasks = await self._store.get_tasks(new_ids)
        return {
            id_: Outcome(SENT, new_id=task.id)
            for id_, task in zip(ids, tasks, strict=True)
            if task is not None and is_sent(task)
        }

    async def _read_tasks(self, ids: Sequence[str]) -> list[TaskView]:
        tasks = await self._store.get_tasks(ids)
        return [
            task or TaskView(id=id_, state=views.UNKNOWN)
            for id_, task in zip(ids, tasks, strict=True)
        ]

    async def send(
        self, specs: Mapping[str, TaskSpec], may_send: Callable[[], bool]
    ) -> SendResult:
        """Send what was prepared, see `ChunkSender.send`."""
        return await self._sender.send(specs, may_send)

    async def find_evidence(
        self, order: BulkOrder, ids: Sequence[str], since: float
    ) -> SendEvidence:
        """Return which of the tasks `ids` were sent again, and which certainly were
        not, by their own ids. Raises `StoreError`."""
        tasks = await self._read_tasks(ids)
        by_new = {make_new_id(order.id, task.id): task for task in tasks}
        found = await self._evidence.find(by_new, since)
        return SendEvidence(
            frozenset(by_new[id_].id for id_ in found.sent),
            frozenset(by_new[id_].id for id_ in found.not_sent),
        )
