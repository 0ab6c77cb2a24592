"""What ended while no monitor listened, and left no result: it is not known how."""

import asyncio
from pathlib import Path

import pytest

from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitor_process import SOON, monitoring
from tests.support.herald.reconciling_monitor import submit
from tests.support.herald.stuck_task_environment import explained
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


async def concluded(store: MemoryStore, task_id: str) -> TaskView:
    """Return the task once Herald says why it is as it is."""

    async def reasoned() -> bool:
        return (await store.get_task(task_id)).reason is not None

    await wait_until_async(reasoned, 30, "a reason is told")
    return await store.get_task(task_id)


@pytest.mark.parametrize("backend", ["none", "ignored"])
async def test_what_ended_while_nobody_listened_is_neither_lost_nor_running(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
    backend: str,
) -> None:
    url = valkey.url if backend == "ignored" else None
    app = project_app(valkey.url, url) if url else project_app(valkey.url)
    store = MemoryStore()
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    async with monitoring(app, store, **SOON):
        task_id = submit(app, "hold", str(tmp_path / "gate"), ignore_result=True)

        async def runs() -> bool:
            return (await store.get_task(task_id)).state == "STARTED"

        await wait_until_async(runs, 30, "it runs")
        assert (await explained(store, None, task_id)).reason == "runs"
    (tmp_path / "gate").touch()
    control = app.control.inspect(timeout=1)

    async def ended() -> bool:
        active = await asyncio.to_thread(control.active)
        return active is not None and not any(active.values())

    await wait_until_async(ended, 30, "it has ended")
    async with monitoring(app, store, **SOON):
        task = await concluded(store, task_id)
    assert (task.state, task.source, task.final) == ("STARTED", "inferred", False)
    assert task.has_unknown_outcome
    told = await explained(store, None, task_id)
    assert told.reason == "ended_unheard"
    assert "It does not run any more: it has ended" in told.message
    assert "how is not known: events were missed meanwhile" in (task.reason or "")


async def test_workers_tell_which_tasks_ignore_their_result_also_of_celerys_own(
    module_valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
) -> None:
    app = project_app(module_valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    app.control.rate_limit("add", "9/m", reply=True, timeout=5)
    inspection = WorkerInspector(app)
    try:
        told = await inspection.read_registered([worker.hostname], 5.0)
    finally:
        inspection.close()
    known = told[worker.hostname]
    assert {"ignore_result", "celery.chord_unlock"} <= known.resultless
    assert "add" not in known.resultless
    assert known.limited == {"add"}


@pytest.mark.parametrize("backend", ["none", "ignored"])
async def test_what_waited_and_ended_while_nobody_listened_is_not_lost(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    backend: str,
) -> None:
    """It was sent, and all the rest was said to nobody."""
    url = valkey.url if backend == "ignored" else None
    app = project_app(valkey.url, url) if url else project_app(valkey.url)
    store = MemoryStore()
    async with monitoring(app, store, **SOON):
        task_id = submit(app, "ignore_result", 1, 2)

        async def waits() -> bool:
            return (await store.get_task(task_id)).state == "PENDING"

        await wait_until_async(waits, 30, "it waits")
        assert (await explained(store, None, task_id)).reason == "no_worker"
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)

    async def ended() -> bool:
        stats = await asyncio.to_thread(app.control.inspect(timeout=1).stats)
        return any(one["total"] for one in (stats or {}).values())

    await wait_until_async(ended, 30, "it has ended")
    async with monitoring(app, store, **SOON):
        task = await concluded(store, task_id)
    assert (task.state, task.source, task.final) == ("PENDING", "inferred", False)
    assert task.has_unknown_outcome
    assert "whether it ran, and how it ended, is not known" in (task.reason or "")
    told = await explained(store, None, task_id)
    assert told.reason == "ended_unheard"
    assert "It does not wait any more: whether it ran" in told.message
