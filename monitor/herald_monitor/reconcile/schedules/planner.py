"""The schedules that are to be followed: of all sources, and learnt ones.

The sources are read again every few seconds: django-celery-beat and RedBeat change at
any time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from herald_core.model.schedules.learning import (
    LearntSchedule,
    make_learnt_spec,
    read_learnt,
)
from herald_core.model.schedules.marks import (
    SOURCES_KIND,
    SOURCES_TTL_S,
    ScheduleMark,
    SourcesReport,
    encode_item,
)
from herald_core.model.schedules.spec import LEARNT
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_core.system.timed_threads import TimedThreadPool
from herald_monitor.celery_client.schedules.planned import (
    PlannedSchedule,
    ScheduleFactory,
)
from herald_monitor.celery_client.schedules.sources import (
    PlannedSchedules,
    read_sources,
)
from herald_monitor.reconcile.schedules.learner import ScheduleLearner, is_stale

READ_INTERVAL_S = 15.0
READ_TIMEOUT_S = 10.0
LEARN_INTERVAL_S = 300.0


class SchedulePlanner:
    """Knows which schedules there are. `declared` are those of `herald.toml`."""

    def __init__(
        self,
        store: Store,
        factory: ScheduleFactory,
        learner: ScheduleLearner,
        declared: Sequence[PlannedSchedule] = (),
    ) -> None:
        self.learnt: dict[str, LearntSchedule] = {}
        self.failed: frozenset[str] = frozenset()
        self._store = store
        self._factory = factory
        self._learner = learner
        self._declared = declared
        self._known: dict[str, PlannedSchedule] = {}
        self._threads = TimedThreadPool("schedules", 1)
        self._read_at = self._learnt_at = float("-inf")

    def close(self) -> None:
        """End the thread that reads."""
        self._threads.close()

    async def load_learnt(self) -> None:
        """Take over what another monitor learnt. Raises `StoreError`."""
        for document in await self._store.list_documents("schedules"):
            learnt = read_learnt(document.data)
            if learnt is not None:
                self.learnt[document.id] = learnt

    async def list_planned(
        self, confirmed: Mapping[str, ScheduleMark], now: float
    ) -> dict[str, PlannedSchedule]:
        """Return all schedules by id, those that a person confirmed among them."""
        if time.monotonic() >= self._read_at + READ_INTERVAL_S:
            await self._read_sources(now)
        if time.monotonic() >= self._learnt_at + LEARN_INTERVAL_S:
            self._learnt_at = time.monotonic()
            await self._derive(confirmed, now)
        learnt = {id_: mark.learnt for id_, mark in confirmed.items()}
        self.learnt |= {id_: one for id_, one in learnt.items() if one is not None}
        declared = {one.spec.task for one in self._known.values()}
        added = {
            id_: _plan_learnt(one)
            for id_, one in self.learnt.items()
            if one.task not in declared
        }
        return {**added, **self._known}

    async def _read_sources(self, now: float) -> None:
        try:
            [read] = await self._threads.map(
                lambda factory: read_sources(factory, self._declared),
                [self._factory],
                READ_TIMEOUT_S,
            )
        except TimeoutError:
            problem = f"the schedules could not be read within {READ_TIMEOUT_S:g} s"
            await self._report(problems=(problem,), now=now)
            return
        self._read_at = time.monotonic()
        self.failed = read.failed
        self._replace_known(read)
        await self._report(problems=read.problems, now=now)

    def _replace_known(self, read: PlannedSchedules) -> None:
        """Take over what was read; of sources that failed what was known stays."""
        kept = {
            id_: one
            for id_, one in self._known.items()
            if one.spec.source in read.failed
        }
        self._known = kept | {one.spec.id: one for one in read.schedules}

    async def _report(self, *, problems: tuple[str, ...], now: float) -> None:
        counts: dict[str, int] = {}
        for one in self._known.values():
            counts[one.spec.source] = counts.get(one.spec.source, 0) + 1
        if self.learnt:
            counts[LEARNT] = len(self.learnt)
        report = SourcesReport(
            counts=counts, problems=problems, updated_at=to_rfc3339(now)
        )
        await self._store.put_item(
            SOURCES_KIND, "report", encode_item(report), SOURCES_TTL_S
        )

    async def _derive(self, confirmed: Mapping[str, ScheduleMark], now: float) -> None:
        declared = {one.spec.task for one in self._known.values()}
        declared |= {mark.learnt.task for mark in confirmed.values() if mark.learnt}
        found = await self._learner.derive(declared, now)
        kept = {
            id_: one
            for id_, one in self.learnt.items()
            if id_ not in confirmed and not is_stale(one, now)
        }
        self.learnt = kept | found


def _plan_learnt(learnt: LearntSchedule) -> PlannedSchedule:
    def compute(after: float) -> float:
        return after + learnt.interval

    return PlannedSchedule(make_learnt_spec(learnt), compute)
