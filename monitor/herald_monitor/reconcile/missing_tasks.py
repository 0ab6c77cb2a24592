"""The search for tasks that neither the result backend nor a worker knows.

It goes the way that a message goes: queues, workers, results. What is still missing
after that is lost, or ended unreported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.loss.lost_rules import (
    MIN_CHECKS,
    ClusterSnapshot,
    TimeRanges,
    is_dropped,
    is_missing,
    may_have_ended,
    may_have_run,
)
from herald_core.model.loss.recheck_schedule import RecheckSchedule
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.ports import TaskReader
from herald_core.system.cooperative_work import iter_in_slices
from herald_monitor.reconcile.conclusions import (
    ScanEvidence,
    decide_outcome,
    is_loss,
    make_ended_event,
)
from herald_monitor.reconcile.descendants import with_running_descendants
from herald_monitor.reconcile.evidence import EvidenceCollector, Findings

log = logging.getLogger(__name__)


class MissingTaskSearch:
    """Searches for missing tasks, and records their checks in `schedule`.

    `lost_after` is in seconds. `behind` returns True while events wait to be stored, so
    that no task may be called lost.
    """

    def __init__(
        self,
        reader: TaskReader,
        sources: EvidenceCollector,
        schedule: RecheckSchedule,
        lost_after: float,
        behind: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._sources = sources
        self._schedule = schedule
        self._lost_after = lost_after
        self._behind = behind

    async def run(
        self, suspects: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> None:
        """Look for `suspects`, and store what became of those that are nowhere."""
        gaps = await self._list_gap_ranges()
        where = await self._query_queues(suspects, where, found)
        where = await self._find_unrecoverable(suspects, where, gaps, found)
        absent = await _list_missing(suspects, where)
        absent = await self._exclude_replaced(absent, where)
        if absent:
            where = await self._query_workers_again(absent, where, found)
            absent = await _list_missing(absent, where)
            absent = await self._sources.query_backend(absent, found)
        await self._record_found(suspects, absent, where.taken_at)
        if found.complete and not self._behind():
            evidence = ScanEvidence(where, gaps, found.superseded, self._lost_after)
            await self._store_conclusions(absent, evidence, found)

    async def _list_gap_ranges(self) -> TimeRanges:
        """Return when events may have been missed."""
        gaps = await self._reader.list_gaps()
        return [(from_rfc3339(gap.since), from_rfc3339(gap.until)) for gap in gaps]

    async def _query_queues(
        self, suspects: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> ClusterSnapshot:
        """Return `where` with what the broker's queues hold."""
        waiting = await self._sources.query_queues(suspects, found)
        return msgspec.structs.replace(
            where,
            queued=waiting.queued,
            unacked=waiting.unacked,
            queues_known=waiting.is_complete,
            hidden_queues=self._sources.find_hidden_queues(waiting, where),
            last_taken=self._sources.find_last_taken(waiting, where),
        )

    async def _find_unrecoverable(
        self,
        suspects: Sequence[TaskView],
        where: ClusterSnapshot,
        gaps: TimeRanges,
        found: Findings,
    ) -> ClusterSnapshot:
        """Return `where` with the tasks whose outcome no source will report."""
        vague = [
            task
            async for task in iter_in_slices(suspects)
            if may_have_run(task, where, gaps)
        ]
        ids = await self._sources.find_unrecoverable(vague, where, found)
        return msgspec.structs.replace(where, unrecoverable=ids)

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

    async def _query_workers_again(
        self, absent: Sequence[TaskView], where: ClusterSnapshot, found: Findings
    ) -> ClusterSnapshot:
        """Return `where` with what the workers hold now: messages move meanwhile."""
        again = await self._sources.query_workers(
            absent, where.workers, where.taken_at, found, patient=True
        )
        return msgspec.structs.replace(
            where,
            held=where.held | again.held,
            reachable=where.reachable | again.reachable,
            has_silent_process=where.has_silent_process or again.has_silent_process,
        )

    async def _record_found(
        self, suspects: Sequence[TaskView], absent: Sequence[TaskView], at: float
    ) -> None:
        missing = {task.id for task in absent}
        async for task in iter_in_slices(suspects):
            if task.id not in missing:
                self._schedule.record_found(task, at)

    async def _store_conclusions(
        self, absent: Sequence[TaskView], evidence: ScanEvidence, found: Findings
    ) -> None:
        events = [
            event
            async for task in iter_in_slices(absent)
            if (event := self._decide_outcome(task, evidence)) is not None
        ]
        lost = [event for event in events if is_loss(event)]
        if lost:
            log.warning("%d tasks are lost; one: %s", len(lost), lost[0].exception)
        others = [event for event in events if not is_loss(event)]
        found.repaired += await self._sources.store_events(others)
        found.lost += await self._sources.store_events(lost)

    def _decide_outcome(self, task: TaskView, evidence: ScanEvidence) -> Event | None:
        where = evidence.where
        if may_have_ended(task, where, evidence.gaps):
            return self._decide_unreported_end(task, where.taken_at)
        absence = self._schedule.record_missing(task, where.taken_at)
        return decide_outcome(task, absence, evidence)

    def _decide_unreported_end(self, task: TaskView, at: float) -> Event | None:
        """Return the unreported end of `task` once that is sure and not yet stored."""
        if task.reason:
            self._schedule.record_found(task, at)
            return None
        if self._schedule.record_missing(task, at).checks < MIN_CHECKS:
            return None
        self._schedule.record_found(task, at)
        return make_ended_event(task, at)


async def _list_missing(
    tasks: Sequence[TaskView], where: ClusterSnapshot
) -> list[TaskView]:
    return [task async for task in iter_in_slices(tasks) if is_missing(task, where)]
