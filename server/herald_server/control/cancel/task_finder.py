"""Locate tasks without events: an id is reported unknown only on evidence.

It queries the result backend, the workers, and the queues where the broker can list
messages (Redis). Ids outside the filter of a task-scoped token are never queried.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from celery import Celery

from herald_core.errors import HeraldError, StoreError
from herald_core.model.events.event import Event
from herald_core.model.workers.worker import LIVING_STATES
from herald_core.store.ports import Store
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_monitor.celery_client.queues.lookup import QueueLookup, QueueLookupResult
from herald_monitor.celery_client.workers.active_queues import read_consumed
from herald_monitor.celery_client.workers.inspect_replies import (
    ACTIVE,
    QUEUES,
    RESERVED,
    SCHEDULED,
    Redact,
    read_answers,
)
from herald_server.control.cancel.worker_mailbox import WorkerMailbox

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 1.0
"""Seconds that workers have for each of two questions."""

BACKEND_TIMEOUT_S = 3.0
QUEUES_TIMEOUT_S = 5.0
"""Seconds that the result backend and the queues have."""

MAX_IDS = 500
"""Ids that are looked for at once."""


class LocatedTasks(msgspec.Struct, frozen=True):
    """Locations of tasks without events.

    `held` is what workers have, `stored` what the result backend has, each as an event
    by task id; `waiting` are ids whose messages are in a queue or unacknowledged.
    `is_complete`: all queues were read, so what is not among them does not wait.
    """

    held: Mapping[str, Event] = {}
    waiting: frozenset[str] = frozenset()
    stored: Mapping[str, Event] = {}
    is_complete: bool = False

    @property
    def ids(self) -> frozenset[str]:
        """Ids of all located tasks."""
        return frozenset([*self.held, *self.waiting, *self.stored])

    @property
    def events(self) -> list[Event]:
        """Events to store."""
        return [*self.stored.values(), *self.held.values()]


class TaskLocator:
    """Locates tasks of `app` by their ids. `store` lists the workers to query."""

    def __init__(
        self, app: Celery, store: Store, mailbox: WorkerMailbox, redact: Redact = str
    ) -> None:
        self._redact = redact
        self._backend = ResultBackend(app, redact)
        self._queues = QueueLookup(app)
        self._store = store
        self._mailbox = mailbox

    async def __call__(self, ids: Sequence[str], now: float) -> LocatedTasks:
        """Locate `ids`, at most `MAX_IDS` of them.

        Raises `BrokerUnreachable` and `StoreError`; errors of the backend are logged.
        """
        wanted = list(ids)[:MAX_IDS]
        stored = await self._find_stored(wanted)
        left = [id_ for id_ in wanted if id_ not in stored]
        if not left:
            return LocatedTasks(stored=stored)
        workers = await self._store.list_workers(now=now)
        hosts = [one.hostname for one in workers if one.state in LIVING_STATES]
        answers = await self._mailbox.call(
            "query_task", {"ids": left}, ANSWER_TIMEOUT_S, hosts=hosts
        )
        held = parse_held_tasks(answers, now, self._redact)
        left = [id_ for id_ in left if id_ not in held]
        if not left:
            return LocatedTasks(held, stored=stored)
        seen = await self._find_waiting(left, hosts)
        return LocatedTasks(held, seen.queued | seen.unacked, stored, seen.is_complete)

    async def close(self) -> None:
        """Close all connections and threads."""
        self._queues.close()
        await self._backend.close()

    async def _find_stored(self, ids: Sequence[str]) -> dict[str, Event]:
        try:
            events = await self._backend.read_events(ids, BACKEND_TIMEOUT_S)
        except StoreError:
            raise
        except HeraldError as error:
            log.warning("The result backend is not asked for a task: %s", error)
            return {}
        return {event.task_id: event for event in events}

    async def _find_waiting(
        self, ids: Sequence[str], hosts: Sequence[str]
    ) -> QueueLookupResult:
        answers = await self._mailbox.call(QUEUES, {}, ANSWER_TIMEOUT_S, hosts=hosts)
        names = {queue.name for queue in await self._store.list_queues()}
        for answer in answers.values():
            names |= {queue.name for queue in read_consumed(answer)}
        try:
            return await self._queues.find(ids, sorted(names), QUEUES_TIMEOUT_S)
        except HeraldError as error:
            log.warning("The queues are not looked through for a task: %s", error)
            return QueueLookupResult()


def parse_held_tasks(
    answers: Mapping[str, object], received_at: float, redact: Redact
) -> dict[str, Event]:
    """Return the tasks that workers have, from their replies to `query_task`. Pure."""
    held: dict[str, Event] = {}
    for host, answer in answers.items():
        if isinstance(answer, Mapping):
            for pair in cast("Mapping[object, object]", answer).values():
                event = _parse_held(host, pair, received_at, redact)
                if event is not None:
                    held.setdefault(event.task_id, event)
    return held


def _parse_held(
    host: str, pair: object, received_at: float, redact: Redact
) -> Event | None:
    """Return the event of a pair of state and request."""
    if not isinstance(pair, list | tuple) or len(cast("list[object]", pair)) != 2:
        return None
    how, request = cast("list[object]", pair)
    if how not in (ACTIVE, RESERVED, SCHEDULED):
        return None
    fields = {"request": request} if how == SCHEDULED else request
    events, _ = read_answers(str(how), host, [fields], received_at, redact)
    return events[0] if events else None
