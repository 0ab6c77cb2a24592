"""All of it together: a Celery worker, a monitor, and what is known in the end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


@asynccontextmanager
async def monitoring(app: Celery, store: MemoryStore) -> AsyncGenerator[None]:
    """Run a monitor, from when it hears the broker on."""
    stop = asyncio.Event()
    running = asyncio.create_task(Monitor(app, store).run(stop))
    await wait_until_async(
        store.list_monitors, accept=lambda found: any(m.connected for m in found)
    )
    yield
    stop.set()
    await running


async def ended(store: MemoryStore, task_id: str) -> TaskView:
    """Wait for the end of a task, on the log."""
    at = await store.read_end()
    while not (task := await store.get_task(task_id)).final:
        for entry in await store.read_entries(at, wait=5):
            at = entry.cursor
    return task


async def test_a_worker_is_heard_without_being_asked_to_speak(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """The worker was started without `-E`: Herald turns its events on."""
    app = project_app(valkey.url, valkey.url)
    worker = celery_worker(app, events=False)
    store = MemoryStore()
    async with asyncio.timeout(30), monitoring(app, store):
        task_id: str = cast(Any, app).send_task("add", (1, 2)).id
        task = await ended(store, task_id)
        assert (task.state, task.result) == ("SUCCESS", "3")
        assert task.worker == worker.hostname

        task_id = cast(Any, app).send_task("retry_twice").id
        task = await ended(store, task_id)
        assert (task.state, task.attempt) == ("SUCCESS", 3)
