"""What is concluded from queues: only what was seen there."""

import asyncio
import time
from typing import Any, cast

import msgspec
import pytest
from tests.conftest import AppFactory, WorkerFactory
from tests.live_server import worker_of
from tests.monitors import SOON, monitoring, settled
from tests.servers import PrivateValkey
from tests.truth import submit

from herald_monitor.broker_queues import BrokerQueues
from herald_monitor.gauging import Gauging
from herald_monitor.memory import MemoryStore
from herald_monitor.model.queues import DOUBT_AFTER
from herald_monitor.model.shape import rfc3339
from herald_server.queues import said, shown

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
        task = await store.task(task_id)
        seen.setdefault(task.state, time.time())
        if task.state == "PENDING":
            assert (task.queue, bool(task.eta)) == (queue, True)
        assert task.state != "LOST", task.reason
        return task.final

    async with monitoring(app, store, **SOON):
        task_id = submit(app, "add", 1, 2, countdown=14)
        await settled(over, 45, "the task ends")
    task = await store.task(task_id)
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
    queues = BrokerQueues(app)
    found = await queues.look({"x"}, [name])
    assert not found.known
    assert "did not say what it holds" in found.doubt
    assert (await queues.look({"x"}, [name], consumers={name: 1})).known
    worker.kill()

    async def gone() -> bool:
        return (await queues.look({"x"}, [name])).known

    await settled(gone, 20, "the broker dropped its consumer")
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
    gauging = Gauging(app, store, lambda: True)
    stray = {q.name: q for q in await gauging.measure()}["stray"]
    assert (stray.depth, stray.consumers, stray.stranded) == (1, None, False)
    assert (stray.answered, stray.unanswered) == (1, 2)
    assert "may_be_stranded" not in shown(stray, time.time())
    later = rfc3339(time.time() + DOUBT_AFTER)
    stray = msgspec.structs.replace(stray, as_of=later)
    assert shown(stray, time.time())["may_be_stranded"]
    assert "none of the 1 that answered; 2 did not answer" in said([stray])
    worker.kill()
