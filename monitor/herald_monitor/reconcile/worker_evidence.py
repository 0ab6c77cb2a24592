"""Answers of the workers about their tasks, and silent workers that may be running."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import msgspec
from celery import Celery

from herald_core.errors import HeraldError
from herald_core.model.events.event import Event
from herald_core.model.loss.lost_rules import ClusterSnapshot
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339
from herald_core.model.workers import worker as w
from herald_core.model.workers.consumption import ConsumptionTracker
from herald_core.model.workers.worker import WorkerView
from herald_monitor.celery_client.workers.active_queues import ConsumedQueue
from herald_monitor.celery_client.workers.control_queues import ControlQueueLookup
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.celery_client.workers.inspect_replies import InspectReplies

LIVING_TIMEOUT_S = 2.0
OTHERS_TIMEOUT_S = 1.0
"""Seconds for an answer of workers that live, and of those that seem not to."""

LIVING_BACKOFF_S = 4.0
OTHERS_BACKOFF_S = 10.0
"""Seconds for which a worker that did not answer is left alone."""

MAX_OTHERS = 50
"""Silent workers that are queried in one scan, since each may cost the whole
timeout."""

HEARTBEAT_MARGIN_S = 3.0
"""Seconds after a question in vain, from which on a heartbeat shows that it lives."""

OnFailure = Callable[[Exception], None]


class WorkerAnswers(msgspec.Struct, frozen=True):
    """The results of one round of queries."""

    snapshot: ClusterSnapshot
    events: Sequence[Event] = ()
    consumed: tuple[ConsumedQueue, ...] = ()
    newly_answered: frozenset[str] = frozenset()
    """Workers that are shown as silent, and answered."""


class WorkerSource:
    """A source of evidence: the workers of `app`, through `inspection`."""

    def __init__(self, app: Celery, inspection: WorkerInspector) -> None:
        self._inspection = inspection
        self._control_queues = ControlQueueLookup(app)
        self._unresponsive_since: dict[str, float] = {}
        self._confirmed: dict[str, Mapping[str, bool]] = {}
        self._unanswered: dict[str, float] = {}
        self._unable: set[str] = set()
        self._consumers: dict[str, tuple[frozenset[str], int]] = {}
        self._consumption = ConsumptionTracker()

    async def query(
        self,
        needed: set[str],
        workers: Mapping[str, WorkerView],
        now: float,
        failed: OnFailure,
        *,
        patient: bool = False,
    ) -> WorkerAnswers:
        """Query those of `workers` that are online, and those that are `needed`.

        A `patient` query gives processes that share a name a chance to answer too.
        """
        online = {h for h, one in workers.items() if one.state == w.ONLINE}
        silent = {h for h, one in workers.items() if one.state == w.SILENT}
        living = self._select_responsive(online, LIVING_BACKOFF_S)
        others = self._select_responsive(needed - online, OTHERS_BACKOFF_S)[:MAX_OTHERS]
        if silent and not living and not others:
            # A running worker that does not answer would not be counted.
            others = sorted(silent)[:MAX_OTHERS]
        asked = await self._query_both(living, others, workers, failed, patient=patient)
        answered = asked[0].answered | asked[1].answered
        for hostname in {*living, *others} - answered:
            self._unresponsive_since[hostname] = time.monotonic()
        self._remember(asked, workers)
        self._consumption.record(workers, now)
        self._record_unable(living, answered, workers, now)
        reachable, unheard = await self._find_unresponsive(
            asked, silent, workers, failed
        )
        events = [event for one in asked for event in one.events]
        where = ClusterSnapshot(
            taken_at=now,
            workers=workers,
            answered=answered,
            held=frozenset(event.task_id for event in events),
            confirmed=self._confirmed,
            reachable=reachable,
            has_silent_process=unheard,
        )
        consumed = tuple(
            queue for one in asked for told in one.consumed.values() for queue in told
        )
        return WorkerAnswers(where, events, consumed, frozenset(silent & answered))

    def find_hidden_queues(
        self, consumers: Mapping[str, int], where: ClusterSnapshot
    ) -> frozenset[str]:
        """Return the queues with more consumers than the known workers have.

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

    def find_last_taken(
        self, queues: Iterable[str], workers: Mapping[str, WorkerView]
    ) -> dict[str, float]:
        """Return when a living worker last took a message from each of `queues`."""
        consumed = {
            host: told & {*queues} for host, (told, _) in self._consumers.items()
        }
        return self._consumption.find_last_taken(consumed, workers)

    def close(self) -> None:
        """Let go of all connections."""
        self._control_queues.close()

    async def _query_both(
        self,
        living: Sequence[str],
        others: Sequence[str],
        workers: Mapping[str, WorkerView],
        failed: OnFailure,
        *,
        patient: bool,
    ) -> tuple[InspectReplies, InspectReplies]:
        sharing = {h: n for h, one in workers.items() if (n := one.processes or 1) > 1}

        async def ask(hostnames: Sequence[str], within: float) -> InspectReplies:
            try:
                return await self._inspection.inspect(
                    hostnames, within, sharing, patient=patient
                )
            except HeraldError as error:
                failed(error)
                return InspectReplies()

        return await asyncio.gather(
            ask(living, LIVING_TIMEOUT_S), ask(others, OTHERS_TIMEOUT_S)
        )

    def _remember(
        self, asked: Iterable[InspectReplies], workers: Mapping[str, WorkerView]
    ) -> None:
        """Store the answers: a worker's last one stays valid while it is silent."""
        for one in asked:
            self._confirmed.update(one.confirmed)
            for host, told in one.consumed.items():
                queues = frozenset(queue.name for queue in told)
                self._consumers[host] = queues, one.partial_answers.get(host, 1)
        for kept in (self._confirmed, self._consumers):
            for host in kept.keys() - workers.keys():
                del kept[host]

    def _record_unable(
        self,
        living: Sequence[str],
        answered: frozenset[str],
        workers: Mapping[str, WorkerView],
        now: float,
    ) -> None:
        """Record workers that do not answer although their heartbeats go on: it is a
        setting.
        """
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
            if from_rfc3339(workers[host].last_heartbeat_at or to_rfc3339(at))
            > at + HEARTBEAT_MARGIN_S
        }

    async def _find_unresponsive(
        self,
        asked: Sequence[InspectReplies],
        silent: set[str],
        workers: Mapping[str, WorkerView],
        failed: OnFailure,
    ) -> tuple[frozenset[str], bool]:
        """Return the silent workers that may be running, and True if any did not
        answer.
        """
        silent = silent - asked[0].answered - asked[1].answered
        told = [one.receivers for one in asked if one.receivers is not None]
        if told:
            unheard = max(told) > _count_responding(asked, workers, self._unable)
            # For workers without remote control, no source tells if they are running.
            never = silent & self._unable
            return frozenset(silent if unheard else never), unheard
        try:
            reachable = await self._control_queues.find_connected(silent)
        except HeraldError as error:
            failed(error)
            return frozenset(silent), True
        return reachable, bool(reachable)

    def _select_responsive(self, hostnames: Iterable[str], pause: float) -> list[str]:
        """Return the workers to query: those that did not answer lately cost the
        timeout.
        """
        now = time.monotonic()
        oldest = now - OTHERS_BACKOFF_S
        self._unresponsive_since = {
            host: at for host, at in self._unresponsive_since.items() if at > oldest
        }
        return [
            h
            for h in sorted(hostnames)
            if self._unresponsive_since.get(h, 0.0) <= now - pause
        ]


def _count_responding(
    asked: Iterable[InspectReplies], workers: Mapping[str, WorkerView], unable: Set[str]
) -> int:
    """Return how many processes answered, or are online and not `unable` to."""
    partly = {host: n for one in asked for host, n in one.partial_answers.items()}
    beating = {
        host: one.processes or 1
        for host, one in workers.items()
        if one.state == w.ONLINE and host not in unable
    }
    return sum(max(partly.get(h, 0), beating.get(h, 0)) for h in {*partly, *beating})
