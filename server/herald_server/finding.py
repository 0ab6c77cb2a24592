"""Looks for tasks of which Herald heard nothing: an id is unknown on evidence only.

Asked are the result backend, the workers, and the queues where the broker shows
what lies in them (Redis). Others' ids are never asked about for a narrow token.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from celery import Celery

from herald_monitor.backends import ResultBackend
from herald_monitor.broker_queues import BrokerQueues
from herald_monitor.errors import HeraldError, StoreError
from herald_monitor.inspected import (
    ACTIVE,
    QUEUES,
    RESERVED,
    SCHEDULED,
    Redact,
    read_answers,
)
from herald_monitor.inspected_queues import read_consumed
from herald_monitor.model.events import Event
from herald_monitor.model.workers import LIVING
from herald_monitor.store import Store
from herald_server.worker_mailbox import WorkerMailbox

log = logging.getLogger(__name__)

WITHIN = 1.0
"""Seconds that workers have for each of two questions."""

BACKEND_WITHIN = 3.0
QUEUES_WITHIN = 5.0
"""Seconds that the result backend and the queues have."""

MOST = 500
"""Ids that are looked for at once."""


class Found(msgspec.Struct, frozen=True):
    """Where tasks are that no event told of.

    `held` is what workers have, `stored` what the result backend keeps, each as an
    event by task id; `waiting` are ids whose messages lie in a queue or were given
    out and not confirmed.
    """

    held: Mapping[str, Event] = {}
    waiting: frozenset[str] = frozenset()
    stored: Mapping[str, Event] = {}

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all that was found."""
        return frozenset([*self.held, *self.waiting, *self.stored])

    @property
    def events(self) -> list[Event]:
        """What was found out, to be stored."""
        return [*self.stored.values(), *self.held.values()]


class Finding:
    """Looks for tasks of `app` by their ids. `store` tells whom to ask."""

    def __init__(
        self, app: Celery, store: Store, mailbox: WorkerMailbox, redact: Redact = str
    ) -> None:
        self._redact = redact
        self._backend = ResultBackend(app, redact)
        self._queues = BrokerQueues(app)
        self._store = store
        self._mailbox = mailbox

    async def __call__(self, ids: Sequence[str], now: float) -> Found:
        """Look for `ids`, of which at most `MOST` are looked for.

        Raises `BrokerUnreachable` and `StoreError`; a backend that fails is passed
        over.
        """
        wanted = list(ids)[:MOST]
        stored = await self._stored(wanted)
        left = [id_ for id_ in wanted if id_ not in stored]
        if not left:
            return Found(stored=stored)
        workers = await self._store.workers(now=now)
        hosts = [one.hostname for one in workers if one.state in LIVING]
        told = await self._mailbox.call(
            "query_task", {"ids": left}, WITHIN, hosts=hosts
        )
        held = held_by(told, now, self._redact)
        left = [id_ for id_ in left if id_ not in held]
        waiting = await self._waiting(left, hosts) if left else frozenset[str]()
        return Found(held, waiting, stored)

    async def _stored(self, ids: Sequence[str]) -> dict[str, Event]:
        try:
            told = await self._backend.read(ids, BACKEND_WITHIN)
        except StoreError:
            raise
        except HeraldError as error:
            log.warning("The result backend is not asked for a task: %s", error)
            return {}
        return {event.task_id: event for event in told}

    async def _waiting(
        self, ids: Sequence[str], hosts: Sequence[str]
    ) -> frozenset[str]:
        told = await self._mailbox.call(QUEUES, {}, WITHIN, hosts=hosts)
        names = {queue.name for queue in await self._store.queues()}
        for said in told.values():
            names |= {queue.name for queue in read_consumed(said)}
        try:
            looked = await self._queues.look(ids, sorted(names), QUEUES_WITHIN)
        except HeraldError as error:
            log.warning("The queues are not looked through for a task: %s", error)
            return frozenset()
        return looked.queued | looked.unacked


def held_by(
    told: Mapping[str, object], heard: float, redact: Redact
) -> dict[str, Event]:
    """Return what workers have, by task id, by their answers to `query_task`. Pure."""
    found: dict[str, Event] = {}
    for host, said in told.items():
        if isinstance(said, Mapping):
            pairs = cast("Mapping[object, object]", said).values()
            for event in (_read(host, pair, heard, redact) for pair in pairs):
                if event is not None:
                    found.setdefault(event.task_id, event)
    return found


def _read(host: str, pair: object, heard: float, redact: Redact) -> Event | None:
    """Return what a pair of state and request tells."""
    if not isinstance(pair, list | tuple) or len(cast("list[object]", pair)) != 2:
        return None
    how, request = cast("list[object]", pair)
    if how not in (ACTIVE, RESERVED, SCHEDULED):
        return None
    told = {"request": request} if how == SCHEDULED else request
    events, _ = read_answers(str(how), host, [told], heard, redact)
    return events[0] if events else None
