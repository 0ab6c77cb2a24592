"""The workers, asked what they have; which of those that do not answer may live."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import msgspec
from celery import Celery

from herald_monitor.control_queues import ControlQueues
from herald_monitor.errors import HeraldError
from herald_monitor.inspected import Inspected
from herald_monitor.inspected_queues import ConsumedQueue
from herald_monitor.inspection import Inspection
from herald_monitor.model import workers as w
from herald_monitor.model.consumption import Consumption
from herald_monitor.model.events import Event
from herald_monitor.model.shape import rfc3339, unix
from herald_monitor.model.whereabouts import Whereabouts
from herald_monitor.model.workers import WorkerImage

LIVING_WITHIN = 2.0
OTHERS_WITHIN = 1.0
"""Seconds for an answer of workers that live, and of those that seem not to."""

LIVING_DEAF_FOR = 4.0
OTHERS_DEAF_FOR = 10.0
"""Seconds for which a worker that did not answer is left alone."""

MOST_OTHERS = 50
"""Silent workers that are asked in one look, since each may cost the whole wait."""

BEATS_ON = 3.0
"""Seconds after a question in vain, from which on a heartbeat shows that it lives."""

Failed = Callable[[Exception], None]


class Told(msgspec.Struct, frozen=True):
    """What one round of questions came to."""

    where: Whereabouts
    events: Sequence[Event] = ()
    consumed: tuple[ConsumedQueue, ...] = ()
    answered_anew: frozenset[str] = frozenset()
    """Workers that are shown as silent, and answered."""


class WorkerSource:
    """Asks the workers of `app`, through `inspection`."""

    def __init__(self, app: Celery, inspection: Inspection) -> None:
        self._inspection = inspection
        self._control_queues = ControlQueues(app)
        self._deaf: dict[str, float] = {}
        self._confirmed: dict[str, Mapping[str, bool]] = {}
        self._unanswered: dict[str, float] = {}
        self._unable: set[str] = set()
        self._consumers: dict[str, tuple[frozenset[str], int]] = {}
        self._consumption = Consumption()

    async def ask(
        self,
        needed: set[str],
        workers: Mapping[str, WorkerImage],
        now: float,
        failed: Failed,
        *,
        patient: bool = False,
    ) -> Told:
        """Ask those of `workers` that live, and those that are `needed`.

        A `patient` question gives processes that share a name a chance to answer too.
        """
        online = {h for h, one in workers.items() if one.state == w.ONLINE}
        silent = {h for h, one in workers.items() if one.state == w.SILENT}
        living = self._not_deaf(online, LIVING_DEAF_FOR)
        others = self._not_deaf(needed - online, OTHERS_DEAF_FOR)[:MOST_OTHERS]
        if silent and not living and not others:
            # Nobody would be counted that lives and does not answer.
            others = sorted(silent)[:MOST_OTHERS]
        asked = await self._ask_both(living, others, workers, failed, patient=patient)
        answered = asked[0].answered | asked[1].answered
        for hostname in {*living, *others} - answered:
            self._deaf[hostname] = time.monotonic()
        self._remember(asked, workers)
        self._consumption.note(workers, now)
        self._note_unable(living, answered, workers, now)
        reachable, unheard = await self._find_mute(asked, silent, workers, failed)
        events = [event for one in asked for event in one.events]
        where = Whereabouts(
            at=now,
            workers=workers,
            answered=answered,
            held=frozenset(event.task_id for event in events),
            confirmed=self._confirmed,
            reachable=reachable,
            unheard=unheard,
        )
        consumed = tuple(
            queue for one in asked for told in one.consumed.values() for queue in told
        )
        return Told(where, events, consumed, frozenset(silent & answered))

    def taken(self, consumers: Mapping[str, int], where: Whereabouts) -> frozenset[str]:
        """Return the queues with more consumers than workers that are heard have.

        `consumers` is the broker's own count.
        """
        heard = {h for h, one in where.workers.items() if one.state == w.ONLINE}
        known: Counter[str] = Counter()
        for hostname in heard & self._consumers.keys():
            queues, processes = self._consumers[hostname]
            for queue in queues:
                known[queue] += processes
        return frozenset(
            queue for queue, count in consumers.items() if count > known[queue]
        )

    def last_taken(
        self, queues: Iterable[str], workers: Mapping[str, WorkerImage]
    ) -> dict[str, float]:
        """Return when a living worker last took a message from each of `queues`."""
        consumed = {
            host: told & {*queues} for host, (told, _) in self._consumers.items()
        }
        return self._consumption.last_taken(consumed, workers)

    def close(self) -> None:
        """Let go of all connections."""
        self._control_queues.close()

    async def _ask_both(
        self,
        living: Sequence[str],
        others: Sequence[str],
        workers: Mapping[str, WorkerImage],
        failed: Failed,
        *,
        patient: bool,
    ) -> tuple[Inspected, Inspected]:
        sharing = {h: n for h, one in workers.items() if (n := one.processes or 1) > 1}

        async def ask(hostnames: Sequence[str], within: float) -> Inspected:
            try:
                return await self._inspection.ask(
                    hostnames, within, sharing, patient=patient
                )
            except HeraldError as error:
                failed(error)
                return Inspected()

        return await asyncio.gather(
            ask(living, LIVING_WITHIN), ask(others, OTHERS_WITHIN)
        )

    def _remember(
        self, asked: Iterable[Inspected], workers: Mapping[str, WorkerImage]
    ) -> None:
        """Keep what was told: of who answers no more it is the last that is known."""
        for one in asked:
            self._confirmed.update(one.confirmed)
            for host, told in one.consumed.items():
                queues = frozenset(queue.name for queue in told)
                self._consumers[host] = queues, one.partly.get(host, 1)
        for kept in (self._confirmed, self._consumers):
            for host in kept.keys() - workers.keys():
                del kept[host]

    def _note_unable(
        self,
        living: Sequence[str],
        answered: frozenset[str],
        workers: Mapping[str, WorkerImage],
        now: float,
    ) -> None:
        """Note who does not answer though its heartbeats go on: it is set so."""
        for host in living:
            self._unanswered.setdefault(host, now)
        self._unanswered = {
            host: at
            for host, at in self._unanswered.items()
            if host in workers and host not in answered
        }
        self._unable = {
            host
            for host, at in self._unanswered.items()
            if unix(workers[host].last_heartbeat_at or rfc3339(at)) > at + BEATS_ON
        }

    async def _find_mute(
        self,
        asked: Sequence[Inspected],
        silent: set[str],
        workers: Mapping[str, WorkerImage],
        failed: Failed,
    ) -> tuple[frozenset[str], bool]:
        """Return which silent workers may live, and whether anybody says nothing."""
        silent = silent - asked[0].answered - asked[1].answered
        told = [one.receivers for one in asked if one.receivers is not None]
        if told:
            unheard = max(told) > _heard(asked, workers, self._unable)
            # Of those that are set not to answer, nothing tells whether they live.
            never = silent & self._unable
            return frozenset(silent if unheard else never), unheard
        try:
            reachable = await self._control_queues.connected(silent)
        except HeraldError as error:
            failed(error)
            return frozenset(silent), True
        return reachable, bool(reachable)

    def _not_deaf(self, hostnames: Iterable[str], pause: float) -> list[str]:
        """Return whom to ask: those who did not answer lately make us wait."""
        now = time.monotonic()
        oldest = now - OTHERS_DEAF_FOR
        self._deaf = {host: at for host, at in self._deaf.items() if at > oldest}
        return [h for h in sorted(hostnames) if self._deaf.get(h, 0.0) <= now - pause]


def _heard(
    asked: Iterable[Inspected], workers: Mapping[str, WorkerImage], unable: Set[str]
) -> int:
    """Return how many processes answered, or are heard and not `unable` to answer."""
    partly = {host: n for one in asked for host, n in one.partly.items()}
    beating = {
        host: one.processes or 1
        for host, one in workers.items()
        if one.state == w.ONLINE and host not in unable
    }
    return sum(max(partly.get(h, 0), beating.get(h, 0)) for h in {*partly, *beating})
