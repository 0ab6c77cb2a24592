"""Periodic queries of workers: consumed queues, slots, and number of processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from herald_core.model.workers.worker import ONLINE, SILENT, WorkerView
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import make_answered_worker
from herald_core.store.ports import Store
from herald_monitor.celery_client.workers.active_queues import ConsumedQueue, list_names
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.celery_client.workers.inspect_replies import (
    ConsumedQueues,
    WorkerDescription,
)

INSPECT_TIMEOUT_S = 1.0
"""Seconds for which workers are listened to."""

REFRESH_S = 60.0
"""Seconds between queries of all workers; sooner if one joined, left, or has not
answered."""


class ConsumerCache:
    """The consumers of each queue, by the last answers of the workers.

    `processes` is the number of processes of each name that answered last.
    """

    def __init__(self, inspection: WorkerInspector) -> None:
        self._inspection = inspection
        self._answers: dict[str, tuple[ConsumedQueue, ...]] = {}
        self._requested_at = float("-inf")
        self._living: frozenset[str] = frozenset()
        self._unresponsive: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()
        self._has_unknown = False
        self.processes: Mapping[str, int] = {}

    def expire(self) -> None:
        """Let the next refresh query all workers."""
        self._requested_at = float("-inf")

    async def refresh(self, workers: Iterable[WorkerView]) -> frozenset[str]:
        """Query if it is due, or a worker has never answered; return the hostnames that
        answered.
        """
        known = {one.hostname: one for one in workers}
        before = self._living
        self._living = _select_names(known.values(), ONLINE)
        silent = _select_names(known.values(), SILENT)
        complete = before == self._living and before <= self._answers.keys()
        now = time.monotonic()
        if complete and not silent and now < self._requested_at + REFRESH_S:
            return frozenset()
        answers = await self._inspection.read_active_queues(INSPECT_TIMEOUT_S)
        # A worker that is too busy to answer still consumes its last known queues.
        kept = {h: q for h, q in self._answers.items() if h in self._living | silent}
        self._answers, self._requested_at = {**kept, **answers.queues}, now
        self.processes = answers.processes
        self._unresponsive = self._living - answers.queues.keys()
        # An answer is a sign of life, also of one that was silent until then.
        self._living |= answers.queues.keys()
        self._record_silent(silent - answers.queues.keys(), answers, known)
        return frozenset(answers.queues)

    def _record_silent(
        self,
        silent: frozenset[str],
        answers: ConsumedQueues,
        known: Mapping[str, WorkerView],
    ) -> None:
        """Record which silent workers may be running, and so may consume."""
        can_answer = {h for h, one in known.items() if one.slots is not None}
        if answers.unanswered is None:
            self._silent, self._has_unknown = silent, False
            return
        spare = answers.unanswered - len(self._unresponsive & can_answer)
        self._silent = silent if spare > 0 else silent - can_answer
        self._has_unknown = spare > 0

    @property
    def queues(self) -> list[str]:
        """The consumed queues, and their dead letter queues."""
        return sorted(
            list_names(queue for queues in self._answers.values() for queue in queues)
        )

    @property
    def unanswered(self) -> int:
        """The number of online workers that never answered."""
        return len(self._living - self._answers.keys())

    @property
    def answered(self) -> int:
        """The number of workers that answered."""
        return len(self._living & self._answers.keys())

    def find_consumers(self, queue: str) -> tuple[str, ...] | None:
        """Return the consumers of `queue`; None if an unknown worker may consume it."""
        known = self._list_matching(self._living, queue)
        if known:
            return known
        doubt = self.unanswered or self._silent or self._has_unknown
        return None if doubt else ()

    def find_silent_consumers(self, queue: str) -> tuple[str, ...]:
        """Return the workers that consumed `queue` when last known, and may still do
        so.
        """
        return self._list_matching(self._silent, queue)

    def _list_matching(self, names: frozenset[str], queue: str) -> tuple[str, ...]:
        return tuple(
            sorted(
                host
                for host in names
                if any(one.name == queue for one in self._answers.get(host, ()))
            )
        )


def _select_names(workers: Iterable[WorkerView], state: str) -> frozenset[str]:
    return frozenset(one.hostname for one in workers if one.state == state)


class WorkerDescriber:
    """The description of each worker, stored in `store` if it changed.

    It holds slots, pool and processes.
    """

    def __init__(self, inspection: WorkerInspector, store: Store) -> None:
        self._inspection = inspection
        self._store = store
        self._requested_at = float("-inf")

    async def refresh(
        self, living: Sequence[WorkerView], processes: Mapping[str, int]
    ) -> None:
        """Query if it is due, or one of `living` has not answered or has more
        processes.

        `processes` is the number of processes of each name that answered lately.
        """
        now = time.monotonic()
        complete = all(
            one.slots is not None
            and processes.get(one.hostname, 1) == (one.processes or 1)
            for one in living
        )
        if complete and now < self._requested_at + REFRESH_S:
            return
        self._requested_at, at = now, time.time()
        names = [one.hostname for one in living]
        descriptions = await self._inspection.describe(
            names, INSPECT_TIMEOUT_S, processes
        )
        known = {one.hostname: one for one in living}
        news = [
            _make_answer(known[host], one, at)
            for host, one in descriptions.items()
            if _is_changed(known[host], one)
        ]
        if news:
            await self._store.store((), news, now=at)


def _is_changed(shown: WorkerView, description: WorkerDescription) -> bool:
    described = (description.slots, description.pool, description.processes)
    return described != (shown.slots, shown.pool, shown.processes or 1)


def _make_answer(
    shown: WorkerView, description: WorkerDescription, at: float
) -> Worker:
    return make_answered_worker(
        shown.hostname,
        at,
        slots=description.slots,
        pool=description.pool,
        processes=description.processes
        if description.processes > 1 or shown.shared
        else None,
    )
