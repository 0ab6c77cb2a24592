"""One scan: the real states of the unfinished tasks.

The scan queries the result backend first, for final states, then the workers, for their
tasks. A task that neither knows is looked up in the broker's queues, and queried once
more, before it is LOST. Each finding becomes an event, and is stored like any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.loss.loss_reasons import (
    MAY_HAVE_RUN,
    explain_loss,
    explain_unknown_end,
    explain_unknown_start,
)
from herald_core.model.loss.lost_rules import (
    MIN_CHECKS,
    ClusterSnapshot,
    TimeRanges,
    is_at_risk,
    is_dropped,
    is_ended_by_itself,
    is_missing,
    may_have_ended,
    may_have_run,
    needs_queue_lookup,
    will_be_redelivered,
)
from herald_core.model.loss.recheck_schedule import RecheckSchedule
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_core.store.ports import TaskReader
from herald_core.system.cooperative_work import iter_in_slices
from herald_monitor.reconcile.descendants import with_running_descendants
from herald_monitor.reconcile.evidence import EvidenceCollector, Findings

log = logging.getLogger(__name__)

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
            await self._search_missing(suspects, where, found)

    async def _search_missing(
        self, suspects: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> None:
        """Go the way that a message goes: queues, workers, results."""
        waiting = await self._evidence.query_queues(suspects, found)
        where = msgspec.structs.replace(
            where,
            queued=waiting.queued,
            unacked=waiting.unacked,
            queues_known=waiting.is_complete,
            hidden_queues=self._evidence.find_hidden_queues(waiting, where),
            last_taken=self._evidence.find_last_taken(waiting, where),
        )
        gaps = await self._list_gap_ranges()
        vague = [
            t async for t in iter_in_slices(suspects) if may_have_run(t, where, gaps)
        ]
        untold = await self._evidence.find_unrecoverable(vague, where, found)
        where = msgspec.structs.replace(where, unrecoverable=untold)
        absent = [
            task async for task in iter_in_slices(suspects) if is_missing(task, where)
        ]
        absent = await self._exclude_replaced(absent, where)
        if absent:
            again = await self._evidence.query_workers(
                absent, where.workers, where.taken_at, found, patient=True
            )
            where = msgspec.structs.replace(
                where,
                held=where.held | again.held,
                reachable=where.reachable | again.reachable,
                has_silent_process=where.has_silent_process or again.has_silent_process,
            )
            absent = [
                task async for task in iter_in_slices(absent) if is_missing(task, where)
            ]
            absent = await self._evidence.query_backend(absent, found)
        missed = {task.id for task in absent}
        async for task in iter_in_slices(suspects):
            if task.id not in missed:
                self._schedule.record_found(task, where.taken_at)
        if found.complete and not self._behind():
            await self._mark_lost(absent, where, gaps, found)

    async def _exclude_replaced(
        self, absent: list[TaskView], where: ClusterSnapshot
    ) -> list[TaskView]:
        """Exclude tasks that may have been replaced, and come back."""
        dropped = [
            task async for task in iter_in_slices(absent) if is_dropped(task, where)
        ]
        if not dropped:
            return absent
        waits = await with_running_descendants(self._reader, dropped)
        return [task for task in absent if task.id not in waits]

    async def _mark_lost(
        self,
        absent: Sequence[TaskView],
        where: ClusterSnapshot,
        gaps: TimeRanges,
        found: Findings,
    ) -> None:
        lost: list[Event] = []
        ended: list[Event] = []
        unheard: list[Event] = []
        async for task in iter_in_slices(absent):
            if may_have_ended(task, where, gaps):
                unheard += self._mark_ended(task, where.taken_at)
                continue
            absence = self._schedule.record_missing(task, where.taken_at)
            why = explain_loss(task, where, absence, self._lost_after)
            if why and task.id in where.unrecoverable:
                said = explain_unknown_start(task, where, absence, gaps)
                unheard.append(
                    _make_inferred_event("ended", task, where.taken_at, said)
                )
            elif why and task.id in found.superseded:
                # The delivery is over: the stored result of an earlier one counts
                # again.
                ending = found.superseded[task.id]
                now = msgspec.structs.replace(
                    ending, at=where.taken_at, arrived_at=None, worker_time=None
                )
                ended.append(now)
            elif why and is_ended_by_itself(task, where):
                ended.append(_make_ignored_event(task, where.taken_at))
            elif why:
                again = will_be_redelivered(task, where)
                why += f"; {MAY_HAVE_RUN}" if may_have_run(task, where, gaps) else ""
                lost.append(
                    _make_inferred_event("lost", task, where.taken_at, why, again=again)
                )
        found.repaired += await self._evidence.store_events(ended + unheard)
        gone = [event for event in lost if not event.flag]
        if gone:
            log.warning("%d tasks are lost; one: %s", len(gone), gone[0].exception)
        found.lost += await self._evidence.store_events(gone)
        found.repaired += await self._evidence.store_events([e for e in lost if e.flag])

    def _mark_ended(self, task: TaskView, at: float) -> list[Event]:
        """Record that `task` ended without an event; return its event once that is
        sure.
        """
        if (
            not task.reason
            and self._schedule.record_missing(task, at).checks < MIN_CHECKS
        ):
            return []
        self._schedule.record_found(task, at)
        return (
            []
            if task.reason
            else [_make_inferred_event("ended", task, at, explain_unknown_end(task))]
        )

    async def _list_gap_ranges(self) -> TimeRanges:
        """Return when events may have been missed."""
        gaps = await self._reader.list_gaps()
        return [(from_rfc3339(gap.since), from_rfc3339(gap.until)) for gap in gaps]


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


def _make_ignored_event(task: TaskView, at: float) -> Event:
    """Return the event of a `task` that ended in a state of its own."""
    why = (
        f"it gave itself the state {task.custom_state} and ended without a result"
        f" (Ignore()): worker {task.worker} lives and has it no more"
    )
    return _make_inferred_event("ignored", task, at, why)


def _make_inferred_event(
    kind: str, task: TaskView, at: float, why: str, *, again: bool = False
) -> Event:
    """Return Herald's conclusion about `task`, at the start of the scan.

    Any later event of the task ends it at once. If a lost task comes `again`, only its
    delivery is lost.
    """
    return Event(
        kind=kind,
        task_id=task.id,
        at=at,
        source="inferred",
        host=task.worker or "",
        exception=why,
        flag=again,
    )
