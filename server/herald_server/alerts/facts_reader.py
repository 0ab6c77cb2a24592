"""Read the facts that rules are judged by: only the parts that may have changed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping

import msgspec

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER, Change, LogEntry
from herald_core.model.tasks.views import LOST, STARTED, from_rfc3339
from herald_core.model.workers.worker import ONLINE, WorkerView
from herald_core.store.ports import Store
from herald_server.alerts.facts import AlertFacts, FactPart, WebhookProblem
from herald_server.insight.failures.evidence import find_cause
from herald_server.insight.schedules.reader import ScheduleReader, list_alerts
from herald_server.insight.stats.failures import RECENT_S, find_failing
from herald_server.insight.stats.rollup_cache import DAY_S, TTL_S, RollupCache
from herald_server.insight.stats.suspects import (
    LOST_FILTER,
    MAX_LOST,
    compute_limits,
    read_held_tasks,
)
from herald_server.push.freshness import Staleness
from herald_server.webhooks.circuit_breaker import CLOSED
from herald_server.webhooks.endpoint import WebhookEndpoint
from herald_server.webhooks.repository import EndpointState, WebhookRepository

PAUSES_S: Mapping[FactPart, float] = {"failures": 5.0, "running": 60.0}
"""Minimum seconds between two reads of a part; of the others `MIN_PAUSE_S`."""

MIN_PAUSE_S = 1.0

DELAYS_S: Mapping[FactPart, float] = {"failures": TTL_S + 0.1}
"""Seconds from a change to the read of a part that a cache may answer."""

WEBHOOK_INTERVAL_S = 30.0
"""Seconds after which the states of endpoints are read again: they are not in the
change log."""

KIND_PARTS: Mapping[str, FactPart] = {
    QUEUE: "queues",
    GAP: "gaps",
    "schedules": "schedules",
}
"""The part that a change of a record of a kind concerns; of others see below."""


class PartSchedule:
    """When each part of the facts is to be read. Times are of one clock. Pure."""

    def __init__(self, parts: Iterable[FactPart]) -> None:
        self._due: dict[FactPart, float] = dict.fromkeys(parts, 0.0)
        self._read_at: dict[FactPart, float] = {}

    def mark_changed(self, part: FactPart, now: float) -> bool:
        """Note that a part may have changed; return True if it is needed."""
        if part not in self._read_at and part not in self._due:
            return False
        earliest = self._read_at.get(part, 0.0) + PAUSES_S.get(part, MIN_PAUSE_S)
        due = max(now + DELAYS_S.get(part, 0.0), earliest)
        self._due[part] = min(self._due.get(part, due), due)
        return True

    def mark_due(self, part: FactPart, at: float) -> None:
        """Note that a part is to be read at a time, whenever it was read last."""
        self._due[part] = min(self._due.get(part, at), at)

    def mark_all(self) -> None:
        """Note that all parts may have changed."""
        self._due = dict.fromkeys([*self._read_at, *self._due], 0.0)

    def take_due(self, now: float) -> list[FactPart]:
        """Return the parts to read now; they count as read."""
        due: list[FactPart] = [part for part, at in self._due.items() if at <= now]
        for part in due:
            del self._due[part]
            self._read_at[part] = now
        return due

    def find_next(self) -> float | None:
        """Return when the next part is to be read; None: not before a change."""
        return min(self._due.values(), default=None)


def list_changed_parts(
    entry: LogEntry, running: Container[str], silent: Container[str]
) -> set[FactPart]:
    """Return the parts that may differ after an entry of the log. Pure.

    `running` are the ids of the tasks that ran when the part was read, and `silent`
    those of the workers that were not online.
    """
    found: set[FactPart] = set()
    for change in entry.changes:
        if change.kind == TASK:
            found |= _list_task_parts(change, running)
        elif change.kind == WORKER:
            found |= _list_worker_parts(change, silent)
        elif (part := KIND_PARTS.get(change.kind)) is not None:
            found.add(part)
    return found


def _list_task_parts(change: Change, running: Container[str]) -> set[FactPart]:
    task, found = change.task, set[FactPart]()
    if task is None:
        return found
    if find_cause(change) is not None:
        found.add("failures")
    if LOST in (task.state, change.before.state if change.before else None):
        found.add("lost")
    if task.state == STARTED or task.id in running:
        found.add("running")
    return found


def _list_worker_parts(change: Change, silent: Container[str]) -> set[FactPart]:
    """Return no part for a heartbeat of a worker that is online, as it was before."""
    if change.is_deletion or change.id in silent:
        return {"workers"}
    worker = msgspec.json.decode(change.json, type=WorkerView)
    return set() if worker.state == ONLINE else {"workers"}


class FactsReader:
    """Reads the parts of `facts`. All methods raise `StoreError`."""

    def __init__(
        self,
        store: Store,
        rollups: RollupCache,
        schedules: ScheduleReader,
        find_staleness: Callable[[], Staleness | None],
        static_webhooks: Iterable[WebhookEndpoint] = (),
    ) -> None:
        self.facts = AlertFacts()
        self.running_ids: frozenset[str] = frozenset()
        self.silent_ids: frozenset[str] = frozenset()
        self._store = store
        self._rollups = rollups
        self._schedules = schedules
        self.find_staleness = find_staleness
        self._static_webhooks = tuple(static_webhooks)
        self._webhooks = WebhookRepository(store)
        self._readers: Mapping[FactPart, Callable[[], Awaitable[None]]] = {
            "failures": self._read_failures,
            "lost": self._read_lost,
            "running": self._read_running,
            "workers": self._read_workers,
            "queues": self._read_queues,
            "gaps": self._read_gaps,
            "schedules": self._read_schedules,
            "webhooks": self._read_webhooks,
            "status": self._read_status,
        }

    async def read(self, parts: Iterable[FactPart]) -> None:
        """Read `parts`."""
        for part in parts:
            await self._readers[part]()

    async def _read_failures(self) -> None:
        now = time.time()
        self.facts.failing = find_failing(await self._rollups.read_day(RECENT_S, now))
        self.facts.minutes = await self._rollups.read_last(DAY_S, now)

    async def _read_lost(self) -> None:
        found = await self._store.list_tasks(LOST_FILTER, limit=MAX_LOST)
        self.facts.lost = found.tasks

    async def _read_running(self) -> None:
        self.facts.running = (await read_held_tasks(self._store)).running
        self.running_ids = frozenset(task.id for task in self.facts.running)
        day = await self._rollups.read_day(RECENT_S, time.time())
        self.facts.limits = compute_limits(day.whole)

    async def _read_workers(self) -> None:
        self.facts.workers = await self._store.list_workers(now=time.time())
        silent = (one.id for one in self.facts.workers if one.state != ONLINE)
        self.silent_ids = frozenset(silent)

    async def _read_queues(self) -> None:
        self.facts.queues = await self._store.list_queues()

    async def _read_gaps(self) -> None:
        self.facts.gaps = await self._store.list_gaps()

    async def _read_schedules(self) -> None:
        self.facts.schedules = list_alerts((await self._schedules.read_all()).schedules)

    async def _read_webhooks(self) -> None:
        registered = await self._webhooks.read_endpoints()
        endpoints = (*self._static_webhooks, *registered)
        states = await self._webhooks.read_states() if endpoints else {}
        problems = (find_webhook_problem(one, states.get(one.id)) for one in endpoints)
        self.facts.webhooks = [one for one in problems if one is not None]

    async def _read_status(self) -> None:
        self.facts.staleness = self.find_staleness()


def find_webhook_problem(
    endpoint: WebhookEndpoint, state: EndpointState | None
) -> WebhookProblem | None:
    """Return why an endpoint gets nothing; None if it does. Pure."""
    if state is None:
        return None
    if state.disabled_at > endpoint.revived_at:
        reason = f"disabled: {state.disabled_why}; repair it, and enable it again"
        return WebhookProblem(endpoint.id, reason, state.disabled_at)
    if state.breaker == CLOSED:
        return None
    since = from_rfc3339(state.oldest_at) if state.oldest_at else None
    return WebhookProblem(
        endpoint.id, f"it does not accept messages: {state.last_error}", since
    )
