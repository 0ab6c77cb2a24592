"""A project with options of its own, and Herald that was given its URLs only."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.app.celery_app import make_app
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.queues.depths import UNKNOWN_DEPTH, QueueDepthReader
from herald_monitor.celery_client.queues.lookup import QueueLookup
from herald_monitor.runtime.monitor import Monitor
from herald_server.control.start.publisher import QueuesUnknown, TaskPublisher, TaskSpec
from herald_server.control.start.send_options import SendOptions
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio]

STEPS = list(range(10))
OPTIONS: list[dict[str, object]] = [
    {"priority_steps": STEPS, "sep": ":", "queue_order_strategy": "priority"},
    {"global_keyprefix": "shop:"},
    {"global_keyprefix": "shop:", "sep": "|", "priority_steps": [0, 4, 7]},
]


def shared(transport: dict[str, object]) -> dict[str, object]:
    """Return settings of a project of which no URL tells."""
    return {
        "broker_transport_options": transport,
        "result_backend_transport_options": {"global_keyprefix": "res:"},
    }


@asynccontextmanager
async def running(app: Celery, store: MemoryStore) -> AsyncGenerator[Monitor]:
    """Run a monitor that soon calls lost what it does not find."""
    monitor = Monitor(
        app, store, Redactor(), "here",
        lost_after=1.0, reconcile_every=0.5, queues_every=0.5,
    )  # fmt: skip
    stop = asyncio.Event()
    working = asyncio.create_task(monitor.run(stop))
    try:
        yield monitor
    finally:
        stop.set()
        await asyncio.wait_for(working, 30)


@pytest.mark.celery
@pytest.mark.parametrize("transport", OPTIONS)
async def test_options_of_the_workers_are_taken_over(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    transport: dict[str, object],
) -> None:
    project = project_app(valkey.url, valkey.url, herald_shared=shared(transport))
    queue = cast(Any, project).conf.task_default_queue
    ours, store = make_app(valkey.url, valkey.url), MemoryStore()
    waiting = [submit(project, "add", 1, 2, queue="other", priority=p) for p in (0, 5)]
    worker = await asyncio.to_thread(
        celery_worker, project, pool="threads", concurrency=1
    )
    async with running(ours, store) as monitor:
        sent: list[str] = []

        async def heard() -> bool:
            sent.append(submit(project, "add", 2, 3, priority=5))
            states = [task.state for task in await store.get_tasks(sent) if task]
            return bool(monitor.make_view().connected) and "SUCCESS" in states

        await wait_until_async(
            heard, 30, "events are heard with the options taken over"
        )
        order = TaskSpec(
            task_id="started", name="add", args=(1, 2),
            options=SendOptions(queue=queue, priority=5),
        )  # fmt: skip
        sender = TaskPublisher(ours, store)
        await sender.register([order], time.time())
        await sender.send(order)

        async def done() -> bool:
            return (await store.get_task("started")).state == "SUCCESS"

        await wait_until_async(done, 30, "what Herald starts is read by the worker")
        looked = QueueLookup(ours)
        found = await looked.find(set(waiting), ["other"])
        assert found.queued == set(waiting)
        looked.close()
        assert cast(Any, ours.conf).task_default_queue == queue
        assert not monitor.make_view().trouble
    worker.kill()


@pytest.mark.celery
async def test_nothing_is_concluded_of_queues_that_cannot_be_told_apart(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    workers = [
        await asyncio.to_thread(
            celery_worker,
            project_app(
                valkey.url,
                herald_shared={"broker_transport_options": {"global_keyprefix": one}},
            ),
            pool="solo",
        )
        for one in ("a:", "b:")
    ]
    ours = make_app(valkey.url)
    queues, depths = QueueLookup(ours), QueueDepthReader(ours)
    found = await queues.find({"x"}, ["celery"])
    assert (found.is_complete, found.queued) == (False, frozenset())
    assert "--transport-option global_keyprefix=a:" in found.uncertainty
    assert await depths.measure(["celery"]) == {"celery": UNKNOWN_DEPTH}
    store = MemoryStore()
    with pytest.raises(QueuesUnknown, match="nothing was sent: the project on this"):
        await TaskPublisher(ours, store).register(
            [TaskSpec(task_id="t", name="add")], 1.0
        )
    assert (await store.get_task("t")).state == "UNKNOWN"
    given = make_app(valkey.url, transport={"global_keyprefix": "b:"})
    assert "control_exchange" not in get_project_options(given).check()
    for one in workers:
        one.kill()
    queues.close()
    depths.close()


async def test_a_queue_that_nobody_names_is_looked_at_where_it_was_declared(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    """Its worker is gone, and no event told the queue of the task."""
    for prefix in ("", "[a]*:"):
        options = {"broker_transport_options": {"global_keyprefix": prefix}}
        project = project_app(valkey.url, **options)
        task_id = submit(project, "add", 1, 2, queue="orphan")
        queues = QueueLookup(
            make_app(valkey.url, transport={"global_keyprefix": prefix})
        )
        assert (await queues.find({task_id}, [])).queued == {task_id}
        queues.close()
