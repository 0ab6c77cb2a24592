"""What is concluded from queues: only what was seen there."""

import asyncio
import time
from typing import Any, cast

import msgspec
import pytest

from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import UNCONSUMED_AFTER_S
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.queues.lookup import QueueLookup
from herald_monitor.reconcile.queue_metrics import QueueMetrics
from herald_server.insight.queues import describe_unconsumed, to_view
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.memory_server import worker_of
from tests.support.herald.monitor_process import SOON, monitoring
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio]

QUORUM: dict[str, object] = {
    "task_default_queue_type": "quorum",
    "task_default_exchange_type": "topic",
}


STRAY: dict[str, object] = {"x": {"queue": "stray"}}


@pytest.mark.celery
@pytest.mark.rabbitmq
async def test_a_task_that_waits_in_native_delayed_queues_is_not_lost(
    amqp_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app, store = project_app(amqp_url, herald_shared=QUORUM), MemoryStore()
    queue = cast(Any, app).conf.task_default_queue
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    seen: dict[str, float] = {}

    async def over() -> bool:
        task = await store.get_task(task_id)
        seen.setdefault(task.state, time.time())
        if task.state == "PENDING":
            assert (task.queue, bool(task.eta)) == (queue, True)
        assert task.state != "LOST", task.reason
        return task.final

    async with monitoring(app, store, **SOON):
        task_id = submit(app, "add", 1, 2, countdown=14)
        await wait_until_async(over, 45, "the task ends")
    task = await store.get_task(task_id)
    assert (task.state, task.queue, task.routing_key) == ("SUCCESS", queue, queue)
    assert seen["SUCCESS"] - seen["PENDING"] > 9, "it waited longer than `lost_after`"


@pytest.mark.celery
@pytest.mark.rabbitmq
async def test_what_a_silent_consumer_holds_is_not_called_gone(
    amqp_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """Its queue is empty, but RabbitMQ delivers again what it did not confirm."""
    app = project_app(amqp_url)
    name = cast(Any, app).conf.task_default_queue
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    queues = QueueLookup(app)
    found = await queues.find({"x"}, [name])
    assert not found.is_complete
    assert "did not say what it holds" in found.uncertainty
    assert (await queues.find({"x"}, [name], consumers={name: 1})).is_complete
    worker.kill()

    async def gone() -> bool:
        return (await queues.find({"x"}, [name])).is_complete

    await wait_until_async(gone, 30, "the broker dropped its consumer")
    queues.close()


@pytest.mark.celery
async def test_a_queue_is_only_without_a_consumer_if_everybody_answered(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app, store = project_app(valkey.url, task_routes=STRAY), MemoryStore()
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    submit(app, "add", 1, 2, queue="stray")
    living = [worker_of(worker.hostname), worker_of("busy@h"), worker_of("mute@h")]
    await store.store([], living, now=time.time())
    gauging = QueueMetrics(app, store, lambda: True)
    stray = {q.name: q for q in await gauging.measure()}["stray"]
    assert (stray.depth, stray.consumers, stray.is_unconsumed) == (1, None, False)
    assert (stray.answered, stray.unanswered) == (1, 2)
    assert "may_be_stranded" not in to_view(stray, time.time())
    later = to_rfc3339(time.time() + UNCONSUMED_AFTER_S)
    stray = msgspec.structs.replace(stray, as_of=later)
    assert to_view(stray, time.time())["may_be_stranded"]
    assert "none of the 1 that answered; 2 did not answer" in describe_unconsumed(
        [stray]
    )
    worker.kill()
