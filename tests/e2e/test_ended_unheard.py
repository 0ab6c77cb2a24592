"""What ended while no monitor listened, and left no result: it is not known how."""

import asyncio

import pytest
from tests.conftest import AppFactory, WorkerFactory
from tests.monitors import SOON, monitoring, settled
from tests.servers import PrivateValkey
from tests.truth import submit
from tests.why_scene import explained

from herald_monitor.inspection import Inspection
from herald_monitor.memory import MemoryStore
from herald_monitor.model.shape import TaskImage

pytestmark = [pytest.mark.anyio, pytest.mark.celery]


async def concluded(store: MemoryStore, task_id: str) -> TaskImage:
    """Return the task once Herald says why it is as it is."""

    async def reasoned() -> bool:
        return (await store.task(task_id)).reason is not None

    await settled(reasoned, 20, "a reason is told")
    return await store.task(task_id)


@pytest.mark.parametrize("backend", ["none", "ignored"])
async def test_what_ended_while_nobody_listened_is_neither_lost_nor_running(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    backend: str,
) -> None:
    url = valkey.url if backend == "ignored" else None
    app = project_app(valkey.url, url) if url else project_app(valkey.url)
    store = MemoryStore()
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    async with monitoring(app, store, **SOON):
        task_id = submit(app, "sleepy", 2, ignore_result=True)

        async def runs() -> bool:
            return (await store.task(task_id)).state == "STARTED"

        await settled(runs, 20, "it runs")
        assert (await explained(store, None, task_id)).reason == "runs"
    control = app.control.inspect(timeout=1)

    async def ended() -> bool:
        active = await asyncio.to_thread(control.active)
        return active is not None and not any(active.values())

    await settled(ended, 20, "it has ended")
    async with monitoring(app, store, **SOON):
        task = await concluded(store, task_id)
    assert (task.state, task.source, task.final) == ("STARTED", "inferred", False)
    assert task.ended_unheard
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
    inspection = Inspection(app)
    try:
        told = await inspection.known([worker.hostname], 5.0)
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
            return (await store.task(task_id)).state == "PENDING"

        await settled(waits, 20, "it waits")
        assert (await explained(store, None, task_id)).reason == "no_worker"
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)

    async def ended() -> bool:
        stats = await asyncio.to_thread(app.control.inspect(timeout=1).stats)
        return any(one["total"] for one in (stats or {}).values())

    await settled(ended, 20, "it has ended")
    async with monitoring(app, store, **SOON):
        task = await concluded(store, task_id)
    assert (task.state, task.source, task.final) == ("PENDING", "inferred", False)
    assert task.ended_unheard
    assert "whether it ran, and how it ended, is not known" in (task.reason or "")
    told = await explained(store, None, task_id)
    assert told.reason == "ended_unheard"
    assert "It does not wait any more: whether it ran" in told.message
