"""A look at many tasks that are nowhere, with many workers: other work goes on."""

import asyncio
import time
from typing import Any, cast

import pytest

from herald_monitor.broker_queues import Waiting
from herald_monitor.model.shape import STARTED, TaskImage, rfc3339
from herald_monitor.model.whereabouts import Whereabouts
from herald_monitor.model.workers import ONLINE, SILENT, WorkerImage
from herald_monitor.store import Page
from herald_monitor.survey import Survey

pytestmark = pytest.mark.anyio

MANY = 10_000
BLOCKED_AT_MOST = 0.05
"""Seconds of processor time that the event loop may be held."""

AT = rfc3339(time.time() - 1_000)
TASKS = [
    TaskImage(
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
    WorkerImage(
        id=f"w{i}@h",
        hostname=f"w{i}@h",
        state=SILENT if i else ONLINE,
        last_heartbeat_at=AT,
    )
    for i in range(MANY)
]


class Tasks:
    """A reader of those tasks and workers."""

    async def workers(self, *, now: float) -> list[WorkerImage]:
        return WORKERS

    async def page(self, _filter: Any, *, limit: int, page: str | None) -> Page:
        await asyncio.sleep(0)
        from_ = int(page or 0)
        until = from_ + limit
        following = str(until) if until < MANY else None
        return Page(tuple(TASKS[from_:until]), following)

    async def gaps(self) -> list[Any]:
        return []


class Nowhere:
    """Sources that know of nothing; what is lost is counted."""

    async def ask_backend(self, tasks: Any, _found: Any) -> Any:
        return tasks

    async def ask_workers(
        self, _t: Any, workers: Any, now: float, *_: Any, **__: Any
    ) -> Whereabouts:
        return Whereabouts(at=now, workers=workers)

    async def look_at_queues(self, *_: Any) -> Waiting:
        return Waiting()

    def taken(self, *_: Any) -> frozenset[str]:
        return frozenset()

    def last_taken(self, *_: Any) -> dict[str, float]:
        return {}

    async def untold(self, *_: Any) -> frozenset[str]:
        return frozenset()

    async def keep(self, events: Any) -> int:
        return len(events)


async def test_other_work_goes_on_while_many_tasks_are_given_up() -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    survey = Survey(
        cast(Any, Tasks()), cast(Any, Nowhere()), 60.0, 30.0, behind=lambda: False
    )
    watching = asyncio.create_task(watch())
    found = await survey.look(at_all=True)
    await asyncio.sleep(0)
    watching.cancel()
    assert found.lost == MANY - 1  # one of the workers lives
    assert longest < BLOCKED_AT_MOST
