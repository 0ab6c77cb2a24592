"""A look at many tasks that are nowhere, with many workers: other work goes on."""

import asyncio
import time
from typing import Any, cast

import pytest

from herald_core.model.loss.lost_rules import ClusterSnapshot
from herald_core.model.tasks.views import STARTED, TaskView, to_rfc3339
from herald_core.model.workers.worker import ONLINE, SILENT, WorkerView
from herald_core.store.types import TaskPage
from herald_monitor.celery_client.queues.lookup import QueueLookupResult
from herald_monitor.reconcile.scan import UnfinishedScan

pytestmark = pytest.mark.anyio

MANY = 10_000
BLOCKED_AT_MOST = 0.05
"""Seconds of processor time that the event loop may be held."""

AT = to_rfc3339(time.time() - 1_000)
TASKS = [
    TaskView(
        id=f"t{i}",
        state=STARTED,
        worker=f"w{i}@h",
        started_at=AT,
        updated_at=AT,
        root_id=f"r{i}",
        rev="1",
    )
    for i in range(MANY)
]
WORKERS = [
    WorkerView(
        id=f"w{i}@h",
        hostname=f"w{i}@h",
        state=SILENT if i else ONLINE,
        last_heartbeat_at=AT,
    )
    for i in range(MANY)
]


class Tasks:
    """A reader of those tasks and workers."""

    async def list_workers(self, *, now: float) -> list[WorkerView]:
        return WORKERS

    async def list_tasks(
        self, _filter: Any, *, limit: int, page: str | None
    ) -> TaskPage:
        await asyncio.sleep(0)
        from_ = int(page or 0)
        until = from_ + limit
        following = str(until) if until < MANY else None
        return TaskPage(tuple(TASKS[from_:until]), following)

    async def list_gaps(self) -> list[Any]:
        return []


class Nowhere:
    """Sources that know of nothing; what is lost is counted."""

    async def query_backend(self, tasks: Any, _found: Any) -> Any:
        return tasks

    async def query_workers(
        self, _t: Any, workers: Any, now: float, *_: Any, **__: Any
    ) -> ClusterSnapshot:
        return ClusterSnapshot(taken_at=now, workers=workers)

    async def query_queues(self, *_: Any) -> QueueLookupResult:
        return QueueLookupResult()

    def find_hidden_queues(self, *_: Any) -> frozenset[str]:
        return frozenset()

    def find_last_taken(self, *_: Any) -> dict[str, float]:
        return {}

    async def find_unrecoverable(self, *_: Any) -> frozenset[str]:
        return frozenset()

    async def store_events(self, events: Any) -> int:
        return len(events)


async def test_other_work_goes_on_while_many_tasks_are_given_up() -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    survey = UnfinishedScan(
        cast(Any, Tasks()), cast(Any, Nowhere()), 60.0, 30.0, behind=lambda: False
    )
    watching = asyncio.create_task(watch())
    found = await survey.run(at_all=True)
    await asyncio.sleep(0)
    watching.cancel()
    assert found.lost == MANY - 1  # one of the workers lives
    assert longest < BLOCKED_AT_MOST
