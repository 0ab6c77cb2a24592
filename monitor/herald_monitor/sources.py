"""Everybody who can be asked about tasks, and the storing of what they know."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar

import msgspec
from celery import Celery

from herald_monitor.backends import ResultBackend
from herald_monitor.broker_queues import BrokerQueues, Waiting
from herald_monitor.errors import HeraldError, StoreError
from herald_monitor.inspected import Known
from herald_monitor.inspected_queues import ConsumedQueue, names_in
from herald_monitor.inspection import Inspection
from herald_monitor.meta import OUTCOMES, is_news
from herald_monitor.model import shape
from herald_monitor.model.events import Event
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.whereabouts import Whereabouts
from herald_monitor.model.worker_words import with_answer
from herald_monitor.model.workers import WorkerImage
from herald_monitor.store import Store
from herald_monitor.worker_source import WorkerSource

log = logging.getLogger(__name__)

T = TypeVar("T")

PART = 500
"""Tasks that are asked about, and stored, at once."""

ASK_WITHIN = 1.0
"""Seconds that workers have to tell which tasks they know."""

NOTHING_KNOWN = Known()

SEARCH_FOR = 120.0
"""Seconds for which a result backend is searched after a gap."""

STOPPED = (
    "The search for results of tasks that were never heard of stopped after %d results,"
    " since it took %.0f s: some that ended while nobody listened may be missing."
)


class Findings(msgspec.Struct):
    """What one look came to: tasks that there were, that were asked about, that were
    not as shown, that were never heard of, and that are lost. `complete`: everybody
    who was asked could be asked. `outlived`: endings that the backend keeps of tasks
    that have begun once more since."""

    walked: int = 0
    checked: int = 0
    repaired: int = 0
    found: int = 0
    lost: int = 0
    complete: bool = True
    problem: str = ""
    outlived: dict[str, Event] = {}

    def failed(self, error: Exception) -> None:
        """Note that somebody could not be asked."""
        self.complete = False
        self.problem = str(error)


class Sources:
    """The result backend, the workers and the queues of `app`.

    What they tell of tasks is stored in `store`, and counted in the `Findings`
    that are passed along.
    """

    def __init__(
        self, app: Celery, store: Store, redact: Callable[[str], str] = str
    ) -> None:
        self.inspection = Inspection(app, redact)
        self._workers = WorkerSource(app, self.inspection)
        self._backend = ResultBackend(app, redact)
        self._queues = BrokerQueues(app)
        self._store = store
        self._consumed: tuple[ConsumedQueue, ...] = ()

    async def ask_backend(
        self, tasks: Sequence[TaskImage], found: Findings
    ) -> list[TaskImage]:
        """Store what the backend knows; return the tasks that it does not know ended.

        Nor does it of those that run for a second time, whatever it keeps. What it
        could not be asked about is left out: nothing can be said of it.
        """
        open_: list[TaskImage] = []
        for part in parts(tasks, PART):
            try:
                told = await self._backend.read([task.id for task in part])
            except StoreError:
                raise
            except HeraldError as error:
                found.failed(error)
                return open_
            ended = {e.task_id: e for e in told if e.kind in OUTCOMES}
            shown = {task.id: task for task in part}
            news = [e for e in told if _is_news(e, shown[e.task_id])]
            found.repaired += await self.keep(news)
            again = await self._begun_again(ended, shown)
            found.outlived |= again
            open_ += [t for t in part if t.id not in ended or t.id in again]
        return open_

    async def _begun_again(
        self, ended: Mapping[str, Event], shown: Mapping[str, TaskImage]
    ) -> dict[str, Event]:
        """Return those endings that are older than a run which is still shown.

        Celery keeps the first success for good (celery/backends/base.py:
        `_store_result`), so the end of a second run is never stored.
        """
        doubted = [i for i in ended if shown[i].state == shape.STARTED]
        now = await self._store.tasks(doubted) if doubted else []
        return {task.id: ended[task.id] for task in now if task and not task.final}

    async def ask_workers(
        self,
        tasks: Sequence[TaskImage],
        workers: Mapping[str, WorkerImage],
        now: float,
        found: Findings,
        *,
        patient: bool = False,
    ) -> Whereabouts:
        """Ask those of `workers` that live, and those that have `tasks`.

        A `patient` question gives processes that share a name a chance to answer too.
        """
        needed = {t.worker for t in tasks if t.worker and t.state != shape.LOST}
        told = await self._workers.ask(
            needed, workers, now, found.failed, patient=patient
        )
        await self._keep_inspected(told.events, found)
        self._consumed = told.consumed
        if told.answered_anew:
            at = time.time()
            alive = [with_answer(host, at) for host in sorted(told.answered_anew)]
            await self._store.store((), alive, now=at)
        return told.where

    async def untold(
        self, tasks: Sequence[TaskImage], where: Whereabouts, found: Findings
    ) -> frozenset[str]:
        """Return those of `tasks` of which nothing will tell how they ended.

        Nobody keeps their result: there is no backend that can be asked, or workers
        say that they ignore it; and no rate limit of their worker keeps them back.
        """
        if not tasks:
            return frozenset()
        try:
            told = await self.inspection.known(sorted(where.answered), ASK_WITHIN)
        except HeraldError as error:
            found.failed(error)
            return frozenset()
        kept = self._backend.can_ask
        ignored = frozenset(name for one in told.values() for name in one.resultless)
        return frozenset(
            task.id
            for task in tasks
            if (not kept or task.name in ignored)
            and task.name not in told.get(task.worker or "", NOTHING_KNOWN).limited
        )

    def taken(self, waiting: Waiting, where: Whereabouts) -> frozenset[str]:
        """Return the queues that somebody takes from of whom nothing is heard."""
        return self._workers.taken(waiting.consumers, where)

    def last_taken(self, waiting: Waiting, where: Whereabouts) -> dict[str, float]:
        """Return when messages were last taken from the queues that hide those."""
        return self._workers.last_taken(waiting.consumers.keys(), where.workers)

    async def _keep_inspected(self, events: Sequence[Event], found: Findings) -> None:
        """Store what workers have that is not known, or known otherwise."""
        for part in parts(events, PART):
            shown = await self._store.tasks([event.task_id for event in part])
            pairs = list(zip(part, shown, strict=True))
            new = [event for event, task in pairs if task is None]
            other = [e for e, task in pairs if task and _is_news_of_worker(e, task)]
            found.repaired += await self.keep(other)
            found.found += await self.keep(new)

    async def look_at_queues(
        self, suspects: Sequence[TaskImage], found: Findings
    ) -> Waiting:
        told = {task.queue for task in suspects if task.queue}
        ids = {task.id for task in suspects}
        try:
            seen = await self._queues.look(
                ids,
                told | names_in(self._consumed),
                consumers=Counter(queue.name for queue in self._consumed),
            )
            return with_dead_letters(seen, self._consumed)
        except HeraldError as error:
            found.failed(error)
            return Waiting()

    async def strangers(self, since: float) -> int:
        """Store tasks never heard of that ended after `since`; return how many.

        Only Redis, databases and files can be searched, for `SEARCH_FOR` seconds.
        Raises `StoreError`.
        """
        given_up, looked, kept = time.monotonic() + SEARCH_FOR, 0, 0
        try:
            async with aclosing(self._backend.find(since)) as found:
                async for ids in found:
                    for part in parts(ids, PART):
                        kept += await self.keep(await self._unheard(part, since))
                    looked += len(ids)
                    if time.monotonic() > given_up:
                        log.warning(STOPPED, looked, SEARCH_FOR)
                        break
        except StoreError:
            raise
        except HeraldError as error:
            log.debug("no search for results: %s", error)
        return kept

    async def _unheard(self, ids: Sequence[str], since: float) -> list[Event]:
        """Return the ends since then of those of `ids` that the store does not know."""
        stored = await self._store.tasks(ids)
        unknown = [i for i, task in zip(ids, stored, strict=True) if task is None]
        told = await self._backend.read(unknown)
        return [one for one in told if one.kind in OUTCOMES and one.at >= since]

    async def keep(self, events: Sequence[Event]) -> int:
        """Store `events`; return how many tasks they changed."""
        changes = 0
        for part in parts(events, PART):
            changes += (await self._store.store(part, now=time.time())).changes
        return changes

    async def close(self) -> None:
        """Let go of all connections."""
        self.inspection.close()
        self._workers.close()
        self._queues.close()
        await self._backend.close()


def _is_news(event: Event, task: TaskImage) -> bool:
    """Say whether the backend tells something of `task` that is not shown.

    What it keeps of a task that began and did not end may be as old as the death
    of its worker, so it is no sign of life of a lost one.
    """
    if task.state == shape.LOST and event.kind not in OUTCOMES:
        further = event.kind == "progress" and task.progress is not None
        return further and is_news(event, task)
    return is_news(event, task)


def _is_news_of_worker(event: Event, task: TaskImage) -> bool:
    if event.kind == "started":
        waits = (shape.PENDING, shape.RECEIVED, shape.RETRY, shape.LOST)
        return task.state in waits
    return task.state in (shape.PENDING, shape.LOST)


def with_dead_letters(seen: Waiting, consumed: Iterable[ConsumedQueue]) -> Waiting:
    """Return `seen`, but not as known if dead letters go where nobody looked."""
    name = next((queue.name for queue in consumed if queue.drops_unseen), None)
    if not seen.known or name is None:
        return seen
    doubt = f"the queue {name} passes what it drops on to where nobody looked"
    return msgspec.structs.replace(seen, known=False, doubt=doubt)


def parts(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `things` in parts of `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
