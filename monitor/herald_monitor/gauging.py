"""The queues, measured on a slow rhythm: how deep, how old, and who consumes them.

One monitor does it at a time. All its waiting is bounded, and on its own; if the
broker does not answer, what was measured last stays until it runs out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from celery import Celery

from herald_monitor.broker_queues import MOST_QUEUES
from herald_monitor.errors import HeraldError
from herald_monitor.inspection import Inspection
from herald_monitor.model import workers as w
from herald_monitor.model.queues import NAMED, QueueImage, drain_seconds
from herald_monitor.model.rollups import Rollup, summed
from herald_monitor.model.shape import TaskImage, rfc3339, unix
from herald_monitor.model.worker_words import with_answer
from herald_monitor.model.workers import WorkerImage
from herald_monitor.queue_depths import Depth, Oldest, QueueDepths
from herald_monitor.store import Store
from herald_monitor.worker_answers import Consumers, Describing

log = logging.getLogger(__name__)

EVERY = 10.0
GLANCE = 1.0
"""Seconds between two glances at whether it is up to this monitor."""

NAMES_FOR = 86_400.0
"""Seconds for which a queue is looked at after its last task."""

_names = msgspec.json.Decoder(list[str])

GONE = Depth(depth=0, consumer_count=0)
"""A queue that does not exist any more."""

BEATEN = 5.0
"""Seconds since a heartbeat, within which an answer tells nothing more."""

TAKEN_FOR = 60.0
"""Seconds for which a message that was taken proves a consumer that is not heard."""

RATED = 5
"""Whole minutes that rates are taken from."""


class Gauging:
    """Measures the queues of `app`'s broker into `store`, every `every` seconds.

    Only while `at_work` says that it is up to this monitor; never if `every` is 0.
    """

    def __init__(
        self,
        app: Celery,
        store: Store,
        at_work: Callable[[], bool],
        every: float = EVERY,
    ) -> None:
        self.problem = ""
        self._store = store
        self._at_work = at_work
        self._every = every
        self._inspection = Inspection(app)
        self._depths = QueueDepths(app)
        self._consumers = Consumers(self._inspection)
        self._describing = Describing(self._inspection, store)
        self._seen: dict[tuple[str, Oldest], float] = {}
        self._unserved: set[str] = set()
        self._taken: dict[str, float] = {}

    async def run(self) -> None:
        """Measure until cancelled."""
        try:
            while True:
                due = self._every > 0 and self._at_work()
                if due:
                    await self._try()
                await asyncio.sleep(self._every if due else GLANCE)
        finally:
            self._inspection.close()
            self._depths.close()

    async def _try(self) -> None:
        try:
            await self.measure()
            self.problem = self._depths.options.problem
        except HeraldError as error:
            if str(error) != self.problem:
                log.warning("%s", error)
            self.problem = str(error)
        except Exception:  # whatever is wrong with one look, the next may do
            log.exception("The queues could not be measured; trying again")

    async def measure(self) -> list[QueueImage]:
        """Measure once. Raises `StoreError`, `QueuesUnreachable`."""
        now = time.time()
        workers = await self._store.workers(now=now)
        living = [one for one in workers if one.state == w.ONLINE]
        await self._note_answers(workers, await self._consumers.look(workers), now)
        await self._describing.look(living, self._consumers.processes)
        waiting = [one.name for one in await self._store.queues() if one.depth]
        names = await self._names(waiting, now)
        implied = self._depths.implied()
        depths = await self._depths.measure(list(dict.fromkeys([*names, implied])))
        for name in waiting[:MOST_QUEUES]:
            # It was asked for among the first, so it was deleted.
            depths.setdefault(name, GONE)
        self._note_taken(self._note_oldest(depths, now), now)
        ages = await self._ages()
        rated = await self._rates(now)
        found = [
            self._image(name, depth, ages.get(name), rated.get(name), now)
            for name, depth in depths.items()
        ]
        # The default queue that nobody uses is none that lacks a consumer.
        found = [q for q in found if q.name in names or q.depth or q.unacked]
        await self._store.gauge(found, now=now)
        return found

    async def _note_answers(
        self, workers: Sequence[WorkerImage], answered: frozenset[str], now: float
    ) -> None:
        """Store that those live who answer, and of whom no heartbeat is heard."""
        beats = {
            one.hostname
            for one in workers
            if one.last_heartbeat_at and now - unix(one.last_heartbeat_at) < BEATEN
        }
        anew = [with_answer(host, now) for host in sorted(answered - beats)]
        if anew:
            await self._store.store((), anew, now=now)

    async def _names(self, waiting: Sequence[str], now: float) -> list[str]:
        """Return the queues to look at, those first that matter most.

        `waiting` were not empty when they were measured last.
        """
        of_tasks = await self._store.queue_names(now - NAMES_FOR)
        own = [*self._depths.own(), *await self._named()]
        return list(dict.fromkeys([*waiting, *self._consumers.queues, *own, *of_tasks]))

    async def _named(self) -> list[str]:
        """Return the queues that servers know, from their catalogs."""
        notes = await self._store.notes(NAMED)
        return [name for note in notes.values() for name in _names.decode(note)]

    # -- how old -----------------------------------------------------------------

    def _note_oldest(self, depths: Mapping[str, Depth], now: float) -> set[str]:
        """Note the oldest messages; return the queues from which any was taken."""
        before = self._seen
        ends = [(name, one) for name, depth in depths.items() for one in depth.oldest]
        self._seen = {end: before.get(end, now) for end in ends}
        return {name for name, _ in before.keys() - self._seen.keys()}

    def _note_taken(self, names: set[str], now: float) -> None:
        """Note when a message of `names` was taken though no worker consumes there.

        Whoever consumed at the look before may have taken it, and be gone since.
        """
        nobody = {name for name in names if self._consumers.of(name) == ()}
        for name in nobody & self._unserved:
            self._taken[name] = now
        self._unserved = {
            name for name, _ in self._seen if self._consumers.of(name) == ()
        }
        recent = now - TAKEN_FOR
        self._taken = {name: at for name, at in self._taken.items() if at > recent}

    async def _ages(self) -> dict[str, tuple[str, bool]]:
        """Return since when the oldest message of each queue waits, or was seen."""
        seen = self._seen
        tasks = await self._store.tasks([oldest.task_id for _, oldest in seen])
        ages: dict[str, tuple[str, bool]] = {}
        for ((name, oldest), at), task in zip(seen.items(), tasks, strict=True):
            age = _age(oldest, task, at)
            ages[name] = min(ages.get(name, age), age)
        return ages

    async def _rates(self, now: float) -> dict[str, tuple[float, float]]:
        until = now // 60 * 60
        since = until - RATED * 60
        return rates(await self._store.rollups(since, until, parts=True))

    def _image(
        self,
        name: str,
        depth: Depth,
        age: tuple[str, bool] | None,
        rated: tuple[float, float] | None,
        now: float,
    ) -> QueueImage:
        comes, goes = rated or (None, None)
        consumers = consumers_of(self._consumers.of(name), depth, name in self._taken)
        partly = consumers != () and self._consumers.unanswered > 0
        return QueueImage(
            id=name,
            name=name,
            depth=depth.depth,
            unacked=depth.unacked,
            oldest_at=age[0] if age else None,
            at_least=age[1] if age else False,
            consumers=consumers,
            silent_consumers=self._consumers.silent(name),
            consumer_count=depth.consumer_count,
            answered=self._consumers.answered if partly else None,
            unanswered=self._consumers.unanswered if partly else None,
            in_per_minute=comes,
            out_per_minute=goes,
            drain_seconds=drain_seconds(depth.depth, comes, goes),
            as_of=rfc3339(now),
        )


def consumers_of(
    told: tuple[str, ...] | None, depth: Depth, taken: bool = False
) -> tuple[str, ...] | None:
    """Return who consumes a queue, by the workers and by the broker's own count.

    The broker knows best whether there is anybody. If a message was `taken` though no
    worker says that it consumes, one does that is not heard: such as one with another
    `control_exchange` on the same broker.
    """
    if depth.consumer_count == 0:
        return ()
    return None if (depth.consumer_count or taken) and not told else told


def _age(oldest: Oldest, task: TaskImage | None, seen: float) -> tuple[str, bool]:
    """Return since when a message waits, and whether it may be older.

    Of a retry nobody tells when it was sent.
    """
    if task is not None and task.submitted_at and not oldest.retries:
        return task.submitted_at, False
    return rfc3339(seen), True


def rates(minutes: Iterable[Rollup]) -> dict[str, tuple[float, float]]:
    """Return tasks that came and went a minute, by queue, over `RATED` minutes. Pure.

    A task goes when a worker receives it: it does not wait in the queue any more.
    Of queues in which nothing moved nothing is said: their tasks may be unheard.
    """
    return {
        name: (
            round(counts.get("submitted", 0) / RATED, 2),
            round(counts.get("received", 0) / RATED, 2),
        )
        for name, counts in summed(minutes).queues.items()
    }
