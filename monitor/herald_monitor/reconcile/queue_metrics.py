"""Periodic measurement of the queues: depth, age, and consumers.

One monitor does it at a time. Every wait has a timeout and blocks no other work. If the
broker does not answer, the last measurement stays until it expires.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from celery import Celery

from herald_core.errors import HeraldError
from herald_core.model.rollups.rollup import Rollup, merge_rollups
from herald_core.model.tasks.views import TaskView, from_rfc3339, to_rfc3339
from herald_core.model.workers import worker as w
from herald_core.model.workers.queue import CATALOG_KIND, QueueView, estimate_drain_s
from herald_core.model.workers.queue_pause import (
    PAUSE_KIND,
    PauseMark,
    decode_pauses,
    find_mark,
)
from herald_core.model.workers.worker import WorkerView
from herald_core.model.workers.worker_reports import make_answered_worker
from herald_core.store.ports import Store
from herald_monitor.celery_client.queues.depths import (
    OldestMessage,
    QueueDepth,
    QueueDepthReader,
)
from herald_monitor.celery_client.queues.lookup import MAX_QUEUES
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.celery_client.workers.worker_answers import (
    ConsumerCache,
    WorkerDescriber,
)

log = logging.getLogger(__name__)

MEASURE_INTERVAL_S = 10.0
POLL_INTERVAL_S = 1.0
"""Seconds between two checks if this monitor measures."""

NAMES_MAX_AGE_S = 86_400.0
"""Seconds for which a queue is looked at after its last task."""

_names_decoder = msgspec.json.Decoder(list[str])

EMPTY_DEPTH = QueueDepth(depth=0, consumer_count=0)
"""A queue that does not exist any more."""

HEARTBEAT_MAX_AGE_S = 5.0
"""Seconds after a heartbeat in which an answer adds nothing."""

TAKEN_MAX_AGE_S = 60.0
"""Seconds for which a taken message proves an unknown consumer."""

RATE_MINUTES = 5
"""Whole minutes that rates are taken from."""


class QueueMetrics:
    """Measures the queues of `app`'s broker into `store`, every `every` seconds.

    Only while `at_work` returns True for this monitor; never if `every` is 0.
    """

    def __init__(
        self,
        app: Celery,
        store: Store,
        at_work: Callable[[], bool],
        every: float = MEASURE_INTERVAL_S,
    ) -> None:
        self.problem = ""
        self._store = store
        self._is_leader = at_work
        self._interval_s = every
        self._inspection = WorkerInspector(app)
        self._depths = QueueDepthReader(app)
        self._consumers = ConsumerCache(self._inspection)
        self._describing = WorkerDescriber(self._inspection, store)
        self._oldest_seen: dict[tuple[str, OldestMessage], float] = {}
        self._consumed_elsewhere: set[str] = set()
        self._taken: dict[str, float] = {}
        self._pauses: dict[str, PauseMark] = {}

    async def run(self) -> None:
        """Measure until cancelled."""
        try:
            while True:
                due = self._interval_s > 0 and self._is_leader()
                if due:
                    await self._try_measure()
                await asyncio.sleep(self._interval_s if due else POLL_INTERVAL_S)
        finally:
            self._inspection.close()
            self._depths.close()

    async def _try_measure(self) -> None:
        try:
            await self.measure()
            self.problem = self._depths.options.problem
        except HeraldError as error:
            if str(error) != self.problem:
                log.warning("%s", error)
            self.problem = str(error)
        except Exception:  # whatever is wrong with one look, the next may do
            log.exception("The queues could not be measured; trying again")

    async def measure(self) -> list[QueueView]:
        """Measure once. Raises `StoreError`, `QueuesUnreachable`."""
        now = time.time()
        await self._read_pauses()
        workers = await self._store.list_workers(now=now)
        living = [one for one in workers if one.state == w.ONLINE]
        await self._store_answers(workers, await self._consumers.refresh(workers), now)
        await self._describing.refresh(living, self._consumers.processes)
        waiting = [one.name for one in await self._store.list_queues() if one.depth]
        names = await self._list_names(waiting, now)
        implied = self._depths.get_default_queue()
        depths = await self._depths.measure(list(dict.fromkeys([*names, implied])))
        for name in waiting[:MAX_QUEUES]:
            # The queue was among the first in the lookup, so it was deleted.
            depths.setdefault(name, EMPTY_DEPTH)
        self._record_taken(self._record_oldest(depths, now), now)
        ages = await self._compute_ages()
        rated = await self._read_rates(now)
        found = [
            self._make_view(name, depth, ages.get(name), rated.get(name), now)
            for name, depth in depths.items()
        ]
        # An unused default queue does not count as a queue without consumer.
        found = [q for q in found if q.name in names or q.depth or q.unacked]
        await self._store.store_queues(found, now=now)
        return found

    async def _store_answers(
        self, workers: Sequence[WorkerView], answered: frozenset[str], now: float
    ) -> None:
        """Store that workers are online that answer, but send no heartbeat."""
        beats = {
            one.hostname
            for one in workers
            if one.last_heartbeat_at
            and now - from_rfc3339(one.last_heartbeat_at) < HEARTBEAT_MAX_AGE_S
        }
        anew = [make_answered_worker(host, now) for host in sorted(answered - beats)]
        if anew:
            await self._store.store((), anew, now=now)

    async def _list_names(self, waiting: Sequence[str], now: float) -> list[str]:
        """Return the queues to look at, those first that matter most.

        `waiting` were not empty when they were measured last.
        """
        of_tasks = await self._store.list_queue_names(now - NAMES_MAX_AGE_S)
        own = [*self._depths.list_own_queues(), *await self._list_catalog_names()]
        first = [*waiting, *self._pauses, *self._consumers.queues]
        return list(dict.fromkeys([*first, *own, *of_tasks]))

    async def _read_pauses(self) -> None:
        """Read which queues are paused; ask the workers anew if others are now."""
        found = decode_pauses(await self._store.get_items(PAUSE_KIND))
        marks = {name: mark for name, one in found.items() if (mark := find_mark(one))}
        if marks != self._pauses:
            self._consumers.expire()
        self._pauses = marks

    async def _list_catalog_names(self) -> list[str]:
        """Return the queues that servers know, from their catalogs."""
        notes = await self._store.get_items(CATALOG_KIND)
        return [name for note in notes.values() for name in _names_decoder.decode(note)]

    # -- how old -----------------------------------------------------------------

    def _record_oldest(self, depths: Mapping[str, QueueDepth], now: float) -> set[str]:
        """Note the oldest messages; return the queues from which any was taken."""
        before = self._oldest_seen
        ends = [(name, one) for name, depth in depths.items() for one in depth.oldest]
        self._oldest_seen = {end: before.get(end, now) for end in ends}
        return {name for name, _ in before.keys() - self._oldest_seen.keys()}

    def _record_taken(self, names: set[str], now: float) -> None:
        """Record when a message of `names` was taken although no worker consumes there.

        A consumer of the previous measurement may have taken it, and left since.
        """
        nobody = {name for name in names if self._consumers.find_consumers(name) == ()}
        for name in nobody & self._consumed_elsewhere:
            self._taken[name] = now
        self._consumed_elsewhere = {
            name
            for name, _ in self._oldest_seen
            if self._consumers.find_consumers(name) == ()
        }
        recent = now - TAKEN_MAX_AGE_S
        self._taken = {name: at for name, at in self._taken.items() if at > recent}

    async def _compute_ages(self) -> dict[str, tuple[str, bool]]:
        """Return since when the oldest message of each queue waits, or was seen."""
        seen = self._oldest_seen
        tasks = await self._store.get_tasks([oldest.task_id for _, oldest in seen])
        ages: dict[str, tuple[str, bool]] = {}
        for ((name, oldest), at), task in zip(seen.items(), tasks, strict=True):
            age = _compute_age(oldest, task, at)
            ages[name] = min(ages.get(name, age), age)
        return ages

    async def _read_rates(self, now: float) -> dict[str, tuple[float, float]]:
        until = now // 60 * 60
        since = until - RATE_MINUTES * 60
        return compute_rates(await self._store.read_rollups(since, until, parts=True))

    def _make_view(
        self,
        name: str,
        depth: QueueDepth,
        age: tuple[str, bool] | None,
        rated: tuple[float, float] | None,
        now: float,
    ) -> QueueView:
        comes, goes = rated or (None, None)
        consumers = find_consumers(
            self._consumers.find_consumers(name), depth, name in self._taken
        )
        partly = consumers != () and self._consumers.unanswered > 0
        return QueueView(
            id=name,
            name=name,
            depth=depth.depth,
            unacked=depth.unacked,
            oldest_at=age[0] if age else None,
            at_least=age[1] if age else False,
            consumers=consumers,
            silent_consumers=self._consumers.find_silent_consumers(name),
            consumer_count=depth.consumer_count,
            answered=self._consumers.answered if partly else None,
            unanswered=self._consumers.unanswered if partly else None,
            in_per_minute=comes,
            out_per_minute=goes,
            drain_seconds=estimate_drain_s(depth.depth, comes, goes),
            paused=self._pauses.get(name),
            as_of=to_rfc3339(now),
        )


def find_consumers(
    told: tuple[str, ...] | None, depth: QueueDepth, taken: bool = False
) -> tuple[str, ...] | None:
    """Return the consumers of a queue, by the workers and by the broker's own count.

    The broker's count decides if there is any. If a message was `taken` although no
    known worker consumes the queue, an unknown consumer exists. It may use another
    `control_exchange` on the same broker.
    """
    if depth.consumer_count == 0:
        return ()
    return None if (depth.consumer_count or taken) and not told else told


def _compute_age(
    oldest: OldestMessage, task: TaskView | None, seen: float
) -> tuple[str, bool]:
    """Return the time since which a message waits, and True if it may be older.

    The send time of a retry is unknown.
    """
    if task is not None and task.submitted_at and not oldest.retries:
        return task.submitted_at, False
    return to_rfc3339(seen), True


def compute_rates(minutes: Iterable[Rollup]) -> dict[str, tuple[float, float]]:
    """Return the rates of arrival and departure in tasks a minute, by queue. Pure.

    The period is `RATE_MINUTES` minutes. A task leaves the queue when a worker receives
    it. Queues without any movement are omitted: their tasks may send no events.
    """
    return {
        name: (
            round(counts.get("submitted", 0) / RATE_MINUTES, 2),
            round(counts.get("received", 0) / RATE_MINUTES, 2),
        )
        for name, counts in merge_rollups(minutes).queues.items()
    }
