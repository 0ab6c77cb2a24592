"""One scan: the real states of the unfinished tasks.

The scan queries the result backend first, for final states, then the workers, for their
tasks. A task that neither knows is looked up in the broker's queues, and queried once
more, before it is LOST. Each finding becomes an event, and is stored like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.loss.lost_rules import (
    ClusterSnapshot,
    is_at_risk,
    needs_queue_lookup,
)
from herald_core.model.loss.recheck_schedule import RecheckSchedule
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import WorkerView
from herald_core.store.ports import TaskReader
from herald_core.system.cooperative_work import iter_in_slices
from herald_monitor.reconcile.evidence import EvidenceCollector, Findings
from herald_monitor.reconcile.missing_tasks import MissingTaskSearch

UNFINISHED_FILTER = Filter(
    state=(views.PENDING, views.RECEIVED, views.STARTED, views.RETRY, views.LOST)
)
PAGE_TASKS = 500
MAX_TASKS = 20_000
"""Tasks in one look. The rest has its turn in the next."""


class UnfinishedScan:
    """A scan of the unfinished tasks in `reader`.

    `lost_after` and the workers' `shutdown_grace` are in seconds. `behind` returns True
    while events wait to be stored, so that no task may be called lost.
    `listening_since` (unix seconds) is the start of uninterrupted listening.
    """

    def __init__(
        self,
        reader: TaskReader,
        sources: EvidenceCollector,
        lost_after: float,
        shutdown_grace: float,
        behind: Callable[[], bool],
        listening_since: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._reader = reader
        self._evidence = sources
        self._lost_after = lost_after
        self._shutdown_grace = shutdown_grace
        self._behind = behind
        self._listening_since = listening_since
        self._schedule = RecheckSchedule(min(5.0, lost_after / 2))
        self._search = MissingTaskSearch(
            reader, sources, self._schedule, lost_after, behind
        )

    async def run(self, *, at_all: bool) -> Findings:
        """Check the tasks that are due, or all. Raises `StoreError`."""
        found = Findings()
        began = time.time()
        workers = {
            one.hostname: one for one in await self._reader.list_workers(now=began)
        }
        due = await self._list_due(began, workers, at_all)
        found.walked = len(self._schedule)
        found.checked = len(due)
        open_ = await self._evidence.query_backend(due, found)
        if open_ or at_all:
            told = await self._evidence.query_workers(open_, workers, began, found)
            where = msgspec.structs.replace(
                told,
                grace=self._shutdown_grace,
                listening_since=self._listening_since(),
            )
            await self._record_checks(open_, where, found)
        return found

    async def _list_due(
        self, now: float, workers: Mapping[str, WorkerView], at_all: bool
    ) -> list[TaskView]:
        due: list[TaskView] = []
        seen: list[str] = []
        texts: dict[str, str] = {}
        page: str | None = None
        while True:
            got = await self._reader.list_tasks(
                UNFINISHED_FILTER, limit=PAGE_TASKS, page=page
            )
            for task in got.tasks:
                seen.append(task.id)
                is_due = self._schedule.is_due(task, now)
                if is_due or at_all or _is_urgent(task, workers):
                    due.append(_strip_texts(task, texts))
            page = got.next
            if page is None or len(due) >= MAX_TASKS:
                break
        if page is None:
            self._schedule.retain(seen)
        return due[:MAX_TASKS]

    async def _record_checks(
        self, tasks: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> None:
        """Record the next check of each task, and examine the missing ones."""
        now = time.time()
        suspects: list[TaskView] = []
        async for task in iter_in_slices(tasks):
            if needs_queue_lookup(task, where, self._lost_after):
                suspects.append(task)
            else:
                self._schedule.record_found(task, now)
        if suspects and found.complete and not self._behind():
            await self._search.run(suspects, where, found)


def _strip_texts(task: TaskView, texts: dict[str, str]) -> TaskView:
    """Return `task` without the texts that a scan does not need.

    All due tasks are in memory at once. Common texts are stored once, in `texts`.
    """
    name, queue, worker = (
        text and texts.setdefault(text, text)
        for text in (task.name, task.queue, task.worker)
    )
    return msgspec.structs.replace(
        task,
        name=name,
        queue=queue,
        worker=worker,
        args=None,
        kwargs=None,
        result=None,
        exception=None,
        traceback=None,
    )


def _is_urgent(task: TaskView, workers: Mapping[str, WorkerView]) -> bool:
    return task.state == views.STARTED and is_at_risk(task, workers)
