"""A worker that comes back with another `HERALD_RELEASE` makes a mark."""

from __future__ import annotations

import asyncio

import pytest

from herald_core.model.marks.mark import MARK_KIND
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest.outbox.options import OutboxOptions
from herald_monitor.runtime import monitor as runtime
from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.outbox_stream import AUTO
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


def restart(worker: Worker) -> None:
    worker.stop()
    worker.start()


async def test_a_deploy_is_marked_by_itself(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "SWEEP_INTERVAL_S", 0.2)
    app, store = project_app(valkey.url), MemoryStore()
    monkeypatch.setenv("HERALD_RELEASE", "3e0b")
    worker = await asyncio.to_thread(celery_worker, app, pool="solo", extra=AUTO)
    stop = asyncio.Event()
    monitor = Monitor(app, store, listen_backend=False, outbox=OutboxOptions())
    running = asyncio.create_task(monitor.run(stop))

    async def is_known() -> bool:
        return await store.get_item("versions", "release") is not None

    async def list_marks() -> list[str]:
        return [str(one.data["what"]) for one in await store.list_documents(MARK_KIND)]

    try:
        await wait_until_async(is_known, 60, "the first release is known")
        monkeypatch.setenv("HERALD_RELEASE", "4f1c")
        await asyncio.to_thread(restart, worker)
        marks = await wait_until_async(list_marks, 60, "a mark")
        assert marks == ["release 3e0b → 4f1c on 1 worker"]
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)
