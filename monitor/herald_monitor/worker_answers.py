"""What workers answer about themselves, asked on a slow rhythm: what they consume, how
many tasks they can run, and how many processes share a name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from herald_monitor.inspected import Consumed, Described
from herald_monitor.inspected_queues import ConsumedQueue, names_in
from herald_monitor.inspection import Inspection
from herald_monitor.model.worker_words import with_answer
from herald_monitor.model.workers import ONLINE, SILENT, Worker, WorkerImage
from herald_monitor.store import Store

WITHIN = 1.0
"""Seconds for which workers are listened to."""

ASK_AGAIN = 60.0
"""Seconds after which all workers are asked anew; sooner if one came, went, or has not
answered."""


class Consumers:
    """Who consumes what, as the workers said it last.

    `processes` is how many of each name answered last.
    """

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._told: dict[str, tuple[ConsumedQueue, ...]] = {}
        self._asked = float("-inf")
        self._living: frozenset[str] = frozenset()
        self._mute: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()
        self._stranger = False
        self.processes: Mapping[str, int] = {}

    async def look(self, workers: Iterable[WorkerImage]) -> frozenset[str]:
        """Ask, if it is time, or somebody was not heard; return who answered."""
        known = {one.hostname: one for one in workers}
        before = self._living
        self._living = _named(known.values(), ONLINE)
        silent = _named(known.values(), SILENT)
        complete = before == self._living and before <= self._told.keys()
        now = time.monotonic()
        if complete and not silent and now < self._asked + ASK_AGAIN:
            return frozenset()
        told = await self._inspection.consumed(WITHIN)
        # Who is too busy to answer consumes what it consumed.
        kept = {h: q for h, q in self._told.items() if h in self._living | silent}
        self._told, self._asked = {**kept, **told.queues}, now
        self.processes = told.processes
        self._mute = self._living - told.queues.keys()
        # An answer is a sign of life, also of one that was silent until then.
        self._living |= told.queues.keys()
        self._note_silent(silent - told.queues.keys(), told, known)
        return frozenset(told.queues)

    def _note_silent(
        self,
        silent: frozenset[str],
        told: Consumed,
        known: Mapping[str, WorkerImage],
    ) -> None:
        """Note which of those that say nothing may live, and so may consume."""
        can_answer = {h for h, one in known.items() if one.slots is not None}
        if told.unheard is None:
            self._silent, self._stranger = silent, False
            return
        spare = told.unheard - len(self._mute & can_answer)
        self._silent = silent if spare > 0 else silent - can_answer
        self._stranger = spare > 0

    @property
    def queues(self) -> list[str]:
        """The queues that are consumed, and those of their dead letters."""
        return sorted(names_in(queue for told in self._told.values() for queue in told))

    @property
    def unanswered(self) -> int:
        """How many living workers never said what they consume."""
        return len(self._living - self._told.keys())

    @property
    def answered(self) -> int:
        """How many workers said what they consume."""
        return len(self._living & self._told.keys())

    def of(self, queue: str) -> tuple[str, ...] | None:
        """Return who consumes `queue`; None if it may be somebody who is not heard."""
        known = self._taking(self._living, queue)
        if known:
            return known
        doubt = self.unanswered or self._silent or self._stranger
        return None if doubt else ()

    def silent(self, queue: str) -> tuple[str, ...]:
        """Return who consumed `queue` when it was heard, and may do so in silence."""
        return self._taking(self._silent, queue)

    def _taking(self, names: frozenset[str], queue: str) -> tuple[str, ...]:
        return tuple(
            sorted(
                host
                for host in names
                if any(one.name == queue for one in self._told.get(host, ()))
            )
        )


def _named(workers: Iterable[WorkerImage], state: str) -> frozenset[str]:
    return frozenset(one.hostname for one in workers if one.state == state)


class Describing:
    """What each worker is, into `store` where it is news: slots, pool, processes."""

    def __init__(self, inspection: Inspection, store: Store) -> None:
        self._inspection = inspection
        self._store = store
        self._asked = float("-inf")

    async def look(
        self, living: Sequence[WorkerImage], processes: Mapping[str, int]
    ) -> None:
        """Ask, if it is time, or one of `living` has not said or is more than it was.

        `processes` is how many of each name answered lately.
        """
        now = time.monotonic()
        complete = all(
            one.slots is not None
            and processes.get(one.hostname, 1) == (one.processes or 1)
            for one in living
        )
        if complete and now < self._asked + ASK_AGAIN:
            return
        self._asked, at = now, time.time()
        names = [one.hostname for one in living]
        told = await self._inspection.describe(names, WITHIN, processes)
        known = {one.hostname: one for one in living}
        news = [
            _answer(known[host], one, at)
            for host, one in told.items()
            if _is_news(known[host], one)
        ]
        if news:
            await self._store.store((), news, now=at)


def _is_news(shown: WorkerImage, told: Described) -> bool:
    said = (told.slots, told.pool, told.processes)
    return said != (shown.slots, shown.pool, shown.processes or 1)


def _answer(shown: WorkerImage, told: Described, at: float) -> Worker:
    return with_answer(
        shown.hostname,
        at,
        slots=told.slots,
        pool=told.pool,
        processes=told.processes if told.processes > 1 or shown.shared else None,
    )
