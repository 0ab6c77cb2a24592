"""Times without a timezone: Herald reads them as the worker that keeps them does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery]

BERLIN: dict[str, object] = {"enable_utc": False, "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("shared", [{}, BERLIN], ids=["utc", "berlin"])
async def test_a_time_without_a_timezone_is_in_utc_for_celery_and_herald(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    shared: dict[str, object],
) -> None:
    app: Any = project_app(valkey.url, valkey.url, herald_shared=shared)
    store, stop = MemoryStore(), asyncio.Event()
    monitor = Monitor(app, store)
    running = asyncio.create_task(monitor.run(stop))

    async def hears() -> bool:
        return monitor.make_view().connected

    await wait_until_async(hears, 30, "the monitor hears")
    due = datetime.now(UTC) + timedelta(seconds=3)
    sent = app.send_task("add", (1, 2), eta=due.replace(tzinfo=None))

    async def told() -> bool:
        return (await store.get_task(sent.id)).eta is not None

    await wait_until_async(told, 30, "a client tells the time")
    assert from_rfc3339((await store.get_task(sent.id)).eta or "") == pytest.approx(
        due.timestamp(), abs=0.002
    )
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)

    async def over() -> bool:
        return (await store.get_task(sent.id)).final

    await wait_until_async(over, 30, "it has run")
    task = await store.get_task(sent.id)
    stop.set()
    await running
    assert from_rfc3339(task.eta or "") == pytest.approx(due.timestamp(), abs=0.002)
    assert -0.1 < from_rfc3339(task.started_at or "") - due.timestamp() < 600
