"""Problems in a store, one for each kind of rule, begun and ended as by a monitor."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

from msgspec.structs import replace

from herald_core.model.documents import replace_with
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.ports import Store
from herald_server.webhooks.endpoint import Secret, WebhookEndpoint
from herald_server.webhooks.repository import EndpointState, WebhookRepository
from herald_server.webhooks.signing import make_secret
from tests.support.herald.memory_server import gone_worker
from tests.support.store.heartbeat import beat, beating
from tests.support.wait import wait_until_async

RULES = """
[alerts]
group_wait = 0
[alerts.rules.task_lost]
window = "2s"
resolve_after = 0
[alerts.rules.task_stuck]
limit = "1s"
resolve_after = 0
[alerts.rules.queue_unconsumed]
for = 0
resolve_after = 0
[alerts.rules.queue_old]
limit = "5s"
resolve_after = 0
[alerts.rules.worker_silent]
for = 0
resolve_after = 0
[alerts.rules.gap]
for = 0
resolve_after = 0
[alerts.rules.schedule_missed]
resolve_after = 0
[alerts.rules.webhook_off]
resolve_after = 0
[alerts.rules.task_failed]
count = 3
resolve_after = 0
[alerts.rules.task_failing]
resolve_after = 0
"""
"""Rules without delays, for tests."""

ENDING_RULES = frozenset(
    (
        *("queue_unconsumed", "queue_old", "worker_silent", "gap"),
        *("schedule_missed", "task_stuck", "task_failing", "task_lost", "webhook_off"),
    )
)
"""Rules whose problems `end_all` ends."""

SCHEDULE: dict[str, Any] = {
    "name": "nightly",
    "task": "reports.nightly",
    "source": "app",
    "schedule": "0 2 * * *",
    "state": "missed",
}


FAILED_AGO_S = 70.0
"""Seconds ago that tasks of `begin_all` failed: in a minute that is over."""

_ENDPOINT = WebhookEndpoint(
    id="wh_off",
    url="http://127.0.0.1:9/",
    secrets=(Secret(make_secret()),),
    filter=Filter(name=("no.such",)),
)


class AlertProblems:
    """Begins and ends problems in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clock = 0
        self.is_connected = True
        """Whether the monitor is connected to its broker."""

    @contextlib.asynccontextmanager
    async def monitored(self) -> AsyncGenerator[None]:
        """Record that a monitor runs, while the block runs."""
        async with beating(lambda: beat(self._store, connected=self.is_connected)):
            yield

    async def tell(self, kind: str, *ids: str, ago: float = 0.0, **fields: Any) -> None:
        """Store one event of each task."""
        self._clock += 1
        now = time.time()
        given: dict[str, Any] = {"host": "w1@h", "pid": 7, **fields}
        events = [
            Event(kind=kind, task_id=id_, at=now - ago, clock=self._clock, **given)
            for id_ in ids
        ]
        await self._store.store(events, now=now)

    async def begin_all(self) -> None:
        """Begin problems of all kinds but a blind monitor, which hides the others."""
        await self.begin_silence()
        await self.begin_loss()
        await self.begin_refusal()
        await self.begin_queue()
        await self._put_gap("open")
        await self._put_schedule([{"kind": "missed", "since": _ago(9), "message": "m"}])
        await self.begin_stuck()
        await self.fail(5, FAILED_AGO_S)

    async def begin_silence(self) -> None:
        """Store a worker that fell silent."""
        await self._store.store([], [gone_worker("w9@h")], now=time.time())

    async def begin_loss(self) -> None:
        """Store a task that is lost."""
        for kind in ("received", "started"):
            await self.tell(kind, "gone", name="archive", ago=9)
        await self.tell("lost", "gone", source="inferred", host="")

    async def begin_refusal(self) -> None:
        """Store a registered endpoint that answered that it is gone."""
        await self.switch_off(_ENDPOINT.id)
        await WebhookRepository(self._store).put(_ENDPOINT)

    async def begin_queue(self) -> None:
        """Store a queue without a consumer whose oldest message is old."""
        await self._put_queue(depth=3, consumers=(), oldest_at=_ago(60))

    async def begin_stuck(self) -> None:
        """Store thirty short runs and a long one of one name."""
        ids = [f"short-{n}" for n in range(30)]
        for kind in ("received", "started"):
            await self.tell(kind, *ids, name="sync", ago=1)
        await self.tell("succeeded", *ids, name="sync", runtime=0.1)
        for kind in ("received", "started"):
            await self.tell(kind, "stuck", name="sync", ago=50)

    async def fail(self, count: int, ago: float = 0.0) -> None:
        """Store failed tasks of one name."""
        ids = [f"bad-{self._clock}-{n}" for n in range(count)]
        for kind in ("received", "started"):
            await self.tell(kind, *ids, name="pay", ago=ago)
        why = "ValueError('x')"
        await self.tell("failed", *ids, name="pay", ago=ago, exception=why)

    async def end_all(self) -> None:
        """End what `begin_all` began, but for failures, which only time ends."""
        await self._store.delete_worker("w9@h", now=time.time())
        await self._put_queue(depth=0, consumers=("w1@h",))
        await self._put_gap("closed")
        await self._put_schedule([])
        await self.tell("succeeded", "stuck", name="sync", runtime=50.0)
        await self.tell("succeeded", "gone", name="archive", runtime=1.0)
        enabled = replace(_ENDPOINT, revived_at=time.time())
        await WebhookRepository(self._store).put(enabled)
        ids = [f"good-{n}" for n in range(500)]
        for kind in ("received", "started", "succeeded"):
            await self.tell(kind, *ids, name="pay")

    async def switch_off(self, endpoint: str) -> None:
        """Store that an endpoint answered that it is gone."""
        cursor = str(await self._store.read_end())
        now = time.time()
        state = EndpointState(cursor=cursor, disabled_at=now, disabled_why="410")
        await WebhookRepository(self._store).put_state(endpoint, state)

    async def _put_queue(self, **fields: Any) -> None:
        now = time.time()
        queue = QueueView(id="reports", name="reports", as_of=to_rfc3339(now), **fields)
        await self._store.store_queues([queue], now=now)

    async def _put_gap(self, state: str) -> None:
        gap = Gap(id="g", since=_ago(90), until=_ago(80), reason="cut", state=state)
        await self._store.open_gap(gap)

    async def _put_schedule(self, problems: list[dict[str, Any]]) -> None:
        data = {**SCHEDULE, "problems": problems}
        await self._store.update_documents(
            "schedules", {"s1": replace_with(data)}, now=time.time(), seconds=3_600
        )

    async def wait_for(self, state: str, rules: frozenset[str]) -> None:
        """Wait until an alert of each of `rules` is in `state`."""

        async def list_rules() -> set[str]:
            documents = await self._store.list_documents("alerts")
            return {one.data["rule"] for one in documents if one.data["state"] == state}

        await wait_until_async(list_rules, 60, accept=lambda found: rules <= found)


def _ago(seconds: float) -> str:
    return to_rfc3339(time.time() - seconds)
