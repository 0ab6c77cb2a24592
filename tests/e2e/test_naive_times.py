"""Times without a timezone: Herald reads them as the worker that keeps them does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import AppFactory, WorkerFactory
from tests.monitors import settled
from tests.servers import PrivateValkey

from herald_monitor.memory import MemoryStore
from herald_monitor.model.shape import unix
from herald_monitor.monitor import Monitor

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
        return monitor.image().connected

    await settled(hears, 20, "the monitor hears")
    due = datetime.now(UTC) + timedelta(seconds=3)
    sent = app.send_task("add", (1, 2), eta=due.replace(tzinfo=None))

    async def told() -> bool:
        return (await store.task(sent.id)).eta is not None

    await settled(told, 20, "a client tells the time")
    assert unix((await store.task(sent.id)).eta or "") == pytest.approx(
        due.timestamp(), abs=0.002
    )
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)

    async def over() -> bool:
        return (await store.task(sent.id)).final

    await settled(over, 20, "it has run")
    task = await store.task(sent.id)
    stop.set()
    await running
    assert unix(task.eta or "") == pytest.approx(due.timestamp(), abs=0.002)
    assert -0.1 < unix(task.started_at or "") - due.timestamp() < 600
