"""The sources of evidence about tasks, and the storing of their answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import TypeVar

import msgspec
from celery import Celery

from herald_core.errors import HeraldError, StoreError
from herald_core.model.events.event import Event
from herald_core.model.loss.lost_rules import ClusterSnapshot
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import WorkerView
from herald_core.model.workers.worker_reports import make_answered_worker
from herald_core.store.ports import Store
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_monitor.celery_client.backend.result_pages import ResultPage
from herald_monitor.celery_client.backend.task_meta import OUTCOMES, adds_information
from herald_monitor.celery_client.queues.lookup import QueueLookup, QueueLookupResult
from herald_monitor.celery_client.workers.active_queues import ConsumedQueue, list_names
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.celery_client.workers.inspect_replies import RegisteredTasks
from herald_monitor.reconcile.gap_verdict import SourceLimits
from herald_monitor.reconcile.worker_evidence import WorkerSource

T = TypeVar("T")

BACKEND_BATCH = 500
"""Tasks that are queried, and stored, at once."""

INSPECT_TIMEOUT_S = 1.0
"""Timeout in seconds of the workers' answers about their tasks."""

NO_REGISTERED_TASKS = RegisteredTasks()


class Findings(msgspec.Struct):
    """The result of one scan.

    Its numbers count the unfinished tasks, those that were checked, that were in
    another state than shown, that were unknown, and that are lost. `complete`: every
    source answered. `superseded`: stored results of tasks that have started again
    since.
    """

    walked: int = 0
    checked: int = 0
    repaired: int = 0
    found: int = 0
    lost: int = 0
    complete: bool = True
    problem: str = ""
    superseded: dict[str, Event] = {}

    def add_failure(self, error: Exception) -> None:
        """Record that a source did not answer."""
        self.complete = False
        self.problem = str(error)


class EvidenceCollector:
    """The result backend, the workers and the queues of `app`.

    Their answers about tasks are stored in `store`, and counted in the `Findings` of
    the caller.
    """

    def __init__(
        self, app: Celery, store: Store, redact: Callable[[str], str] = str
    ) -> None:
        self.inspection = WorkerInspector(app, redact)
        self._workers = WorkerSource(app, self.inspection)
        self._backend = ResultBackend(app, redact)
        self._queues = QueueLookup(app)
        self._store = store
        self._consumed: tuple[ConsumedQueue, ...] = ()
        self._resultless: set[str] = set()

    async def query_backend(
        self, tasks: Sequence[TaskView], found: Findings
    ) -> list[TaskView]:
        """Store the backend's results; return the tasks without a final result.

        A task that runs for a second time is returned too, whatever the backend stores.
        A task that could not be queried is omitted: nothing is known about it.
        """
        open_: list[TaskView] = []
        for part in iter_parts(tasks, BACKEND_BATCH):
            try:
                told = await self._backend.read_events([task.id for task in part])
            except StoreError:
                raise
            except HeraldError as error:
                found.add_failure(error)
                return open_
            ended = {e.task_id: e for e in told if e.kind in OUTCOMES}
            shown = {task.id: task for task in part}
            news = [e for e in told if _adds_backend_information(e, shown[e.task_id])]
            found.repaired += await self.store_events(news)
            again = await self._find_restarted(ended, shown)
            found.superseded |= again
            open_ += [t for t in part if t.id not in ended or t.id in again]
        return open_

    async def _find_restarted(
        self, ended: Mapping[str, Event], shown: Mapping[str, TaskView]
    ) -> dict[str, Event]:
        """Return the results that are older than a delivery which is still shown.

        Celery never overwrites the first success (celery/backends/base.py:
        `_store_result`), so the end of a second delivery is never stored.
        """
        doubted = [i for i in ended if shown[i].state == views.STARTED]
        now = await self._store.get_tasks(doubted) if doubted else []
        return {task.id: ended[task.id] for task in now if task and not task.final}

    async def query_workers(
        self,
        tasks: Sequence[TaskView],
        workers: Mapping[str, WorkerView],
        now: float,
        found: Findings,
        *,
        patient: bool = False,
    ) -> ClusterSnapshot:
        """Query those of `workers` that are online, and those that have `tasks`.

        A `patient` query gives processes that share a name a chance to answer too.
        """
        needed = {t.worker for t in tasks if t.worker and t.state != views.LOST}
        told = await self._workers.query(
            needed, workers, now, found.add_failure, patient=patient
        )
        await self._store_inspected(told.events, found)
        self._consumed = told.consumed
        if told.newly_answered:
            at = time.time()
            alive = [
                make_answered_worker(host, at) for host in sorted(told.newly_answered)
            ]
            await self._store.store((), alive, now=at)
        return told.snapshot

    async def find_unrecoverable(
        self, tasks: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> frozenset[str]:
        """Return those of `tasks` whose outcome no source will report.

        Their result is not stored: no readable backend exists, or workers report that
        they ignore it. No rate limit of their worker delays them.
        """
        if not tasks:
            return frozenset()
        try:
            told = await self.inspection.read_registered(
                sorted(where.answered), INSPECT_TIMEOUT_S
            )
        except HeraldError as error:
            found.add_failure(error)
            return frozenset()
        kept = self._backend.can_ask
        ignored = frozenset(name for one in told.values() for name in one.resultless)
        self._resultless |= ignored
        return frozenset(
            task.id
            for task in tasks
            if (not kept or task.name in ignored)
            and task.name
            not in told.get(task.worker or "", NO_REGISTERED_TASKS).limited
        )

    def find_hidden_queues(
        self, waiting: QueueLookupResult, where: ClusterSnapshot
    ) -> frozenset[str]:
        """Return the queues with a consumer that sends no events."""
        return self._workers.find_hidden_queues(waiting.consumers, where)

    def find_last_taken(
        self, waiting: QueueLookupResult, where: ClusterSnapshot
    ) -> dict[str, float]:
        """Return when messages were last taken from the queues that hide those."""
        return self._workers.find_last_taken(waiting.consumers.keys(), where.workers)

    async def _store_inspected(self, events: Sequence[Event], found: Findings) -> None:
        """Store the tasks of workers that are unknown, or known in another state."""
        for part in iter_parts(events, BACKEND_BATCH):
            shown = await self._store.get_tasks([event.task_id for event in part])
            pairs = list(zip(part, shown, strict=True))
            new = [event for event, task in pairs if task is None]
            other = [
                e for e, task in pairs if task and _adds_worker_information(e, task)
            ]
            found.repaired += await self.store_events(other)
            found.found += await self.store_events(new)

    async def query_queues(
        self, suspects: Sequence[TaskView], found: Findings
    ) -> QueueLookupResult:
        told = {task.queue for task in suspects if task.queue}
        ids = {task.id for task in suspects}
        try:
            seen = await self._queues.find(
                ids,
                told | list_names(self._consumed),
                consumers=Counter(queue.name for queue in self._consumed),
            )
            return check_dead_letters(seen, self._consumed)
        except HeraldError as error:
            found.add_failure(error)
            return QueueLookupResult()

    async def find_source_limits(self, hostnames: Sequence[str]) -> SourceLimits:
        """Return what nobody can tell of tasks that nothing was heard of.

        The workers `hostnames` are asked which results they do not keep; their last
        answers stay valid. Raises `WorkersUnreachable`.
        """
        told = self._backend.describe()
        if self._backend.can_list:
            found = await self.inspection.read_registered(hostnames, INSPECT_TIMEOUT_S)
            self._resultless |= {n for one in found.values() for n in one.resultless}
        return SourceLimits(
            can_ask=self._backend.can_ask,
            can_list=self._backend.can_list,
            name=str(told["name"]),
            reason=str(told["says"]),
            resultless=frozenset(self._resultless),
        )

    def scan_results(self, since: float) -> AsyncGenerator[ResultPage]:
        """Yield the stored results that ended since then, as far as they are listed."""
        return self._backend.scan_pages(since)

    async def import_unknown(self, ids: Sequence[str], since: float) -> int:
        """Store those of `ids` that are unknown and ended since then.

        Returns their number. Raises `StoreError` and `BackendUnreachable`.
        """
        stored = 0
        for part in iter_parts(ids, BACKEND_BATCH):
            stored += await self.store_events(
                await self._find_unknown_ends(part, since)
            )
        return stored

    async def _find_unknown_ends(self, ids: Sequence[str], since: float) -> list[Event]:
        """Return the ends since then of those of `ids` that the store does not know."""
        stored = await self._store.get_tasks(ids)
        unknown = [i for i, task in zip(ids, stored, strict=True) if task is None]
        told = await self._backend.read_events(unknown)
        return [one for one in told if one.kind in OUTCOMES and one.at >= since]

    async def store_events(self, events: Sequence[Event]) -> int:
        """Store `events`; return how many tasks they changed."""
        changes = 0
        for part in iter_parts(events, BACKEND_BATCH):
            changes += (await self._store.store(part, now=time.time())).changes
        return changes

    async def close(self) -> None:
        """Close all connections."""
        self.inspection.close()
        self._workers.close()
        self._queues.close()
        await self._backend.close()


def _adds_backend_information(event: Event, task: TaskView) -> bool:
    """Return True if the backend adds something to the view of `task`.

    Its entry of a started and unfinished task may be older than the end of the worker,
    so it is no sign of life of a lost one.
    """
    if task.state == views.LOST and event.kind not in OUTCOMES:
        further = event.kind == "progress" and task.progress is not None
        return further and adds_information(event, task)
    return adds_information(event, task)


def _adds_worker_information(event: Event, task: TaskView) -> bool:
    if event.kind == "started":
        waits = (views.PENDING, views.RECEIVED, views.RETRY, views.LOST)
        return task.state in waits
    return task.state in (views.PENDING, views.LOST)


def check_dead_letters(
    seen: QueueLookupResult, consumed: Iterable[ConsumedQueue]
) -> QueueLookupResult:
    """Return `seen`, but with a doubt if dead letters go to an unknown place."""
    name = next((queue.name for queue in consumed if queue.drops_unseen), None)
    if not seen.is_complete or name is None:
        return seen
    doubt = f"the queue {name} passes what it drops on to where nobody looked"
    return msgspec.structs.replace(seen, is_complete=False, uncertainty=doubt)


def iter_parts(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `things` in parts of `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
