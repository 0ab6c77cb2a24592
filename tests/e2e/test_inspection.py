"""Workers and queues, asked: what they have, and how long that takes."""

import asyncio
import time
from typing import Any, cast

import pytest
from celery import Celery

from herald_monitor.celery_client.queues import lookup
from herald_monitor.celery_client.queues.lookup import QueueLookup, QueuesUnreachable
from herald_monitor.celery_client.workers.inspect import (
    WorkerInspector,
    WorkersUnreachable,
)
from tests.support.celery.project import make_app
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio]


@pytest.mark.celery
async def test_a_worker_tells_what_it_has(
    broker_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(broker_url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    # Whatever waits for its time makes room for another message.
    later = submit(app, "add", 1, 2, countdown=60)
    running, reserved = submit(app, "sleepy", 8), submit(app, "add", 1, 2)
    inspection = WorkerInspector(app)
    given_up = time.monotonic() + 60
    while True:
        began = time.monotonic()
        told = await inspection.inspect([worker.hostname], 20.0)
        took = time.monotonic() - began
        if len(told.events) == 3:
            break
        assert time.monotonic() < given_up, told
    kinds = {event.task_id: event.kind for event in told.events}
    assert kinds == {running: "started", reserved: "received", later: "received"}
    assert told.answered == {worker.hostname}
    assert told.queue_names == {cast(Any, app).conf.task_default_queue}
    assert took < 10, "nobody is waited for who has answered"
    assert await inspection.find_silent_workers([worker.hostname], 2.0) == {
        worker.hostname
    }
    began = time.monotonic()
    told = await inspection.inspect([worker.hostname, "dead@h"], 0.5)
    assert told.answered == {worker.hostname}
    took = time.monotonic() - began
    # Redis tells how many got the question, so nobody waits for who is not there.
    assert took < 10 if broker_url.startswith("redis") else 0.5 <= took < 10
    inspection.close()
    worker.kill()


@pytest.mark.celery
async def test_answers_in_another_serializer_are_told_with_the_setting_to_give(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """A URL does not carry it; the broker can be reached all the same."""
    theirs: dict[str, object] = {
        "task_serializer": "yaml",
        "event_serializer": "yaml",
        "accept_content": ["json", "yaml"],
    }
    app = project_app(valkey.url, herald_shared=theirs)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    given_by_url = make_app(valkey.url, names=str(cast(Any, app).conf.herald_names))
    cast(Any, given_by_url).conf.accept_content = ["json"]
    inspection = WorkerInspector(given_by_url)
    with pytest.raises(WorkersUnreachable, match=r"is not accepted .*accept_content"):
        await inspection.inspect([worker.hostname], 20.0)
    inspection.close()
    worker.kill()


async def test_nobody_is_asked_without_a_broker(project_app: AppFactory) -> None:
    app = project_app("redis://127.0.0.1:1/0")
    inspection, queues = WorkerInspector(app), QueueLookup(app)
    with pytest.raises(WorkersUnreachable, match="nothing listens there"):
        await inspection.inspect(["w@h"], 0.5)
    with pytest.raises(QueuesUnreachable, match="nothing listens there"):
        await queues.find({"x"}, [])
    assert (await inspection.inspect([], 0.5)).answered == frozenset()
    inspection.close()
    queues.close()


PREFIXED: dict[str, object] = {
    "broker_transport_options": {"global_keyprefix": "mine:"}
}


@pytest.fixture
def queued(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app without a worker, on a broker with a prefix of its own."""
    return project_app(valkey.url, **PREFIXED)


async def test_messages_are_seen_in_queues_of_every_priority(
    queued: Celery, project_app: AppFactory
) -> None:
    default = submit(queued, "add", 1, 2)
    urgent = submit(queued, "add", 1, 2, priority=9)
    elsewhere = submit(queued, "add", 1, 2, queue="other", priority=5)
    conf = cast(Any, queued).conf
    # Whoever sends to a queue knows it; we are another.
    ours = project_app(conf.broker_url, names=conf.herald_names, **PREFIXED)
    queues = QueueLookup(ours)
    found = await queues.find({default, urgent, elsewhere, "gone"}, ["other"])
    assert found.queued == {default, urgent, elsewhere}
    assert found.is_complete
    # A queue that nobody names is searched as well: it was declared.
    unnamed = await queues.find({elsewhere}, [])
    assert (unnamed.queued, unnamed.is_complete) == (frozenset([elsewhere]), True)
    queues.close()


@pytest.mark.celery
async def test_messages_that_are_not_confirmed_are_seen(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url)
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    late = submit(app, "late", 3)
    queues = QueueLookup(app)
    found = await wait_until_async(
        lambda: queues.find({late}, []), accept=lambda found: late in found.unacked
    )
    assert found.is_complete
    queues.close()


async def test_a_long_queue_is_seen_from_both_ends_only(
    queued: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MAX_MESSAGES", 20)
    monkeypatch.setattr(lookup, "READ_BATCH", 4)
    ids = [submit(queued, "add", n, n) for n in range(50)]
    queues = QueueLookup(queued)
    found = await queues.find(set(ids), [])
    assert found.queued == {*ids[:10], *ids[-10:]}
    assert not found.is_complete, "the others may lie between"
    assert (await queues.find({ids[0], ids[-1]}, [])).is_complete
    queues.close()


@pytest.mark.rabbitmq
async def test_on_rabbitmq_a_task_may_be_in_any_queue_that_is_not_empty(
    amqp_url: str, project_app: AppFactory
) -> None:
    app = project_app(amqp_url)
    queues = QueueLookup(app)
    assert (await queues.find({"x"}, ["no-such-queue"])).is_complete
    submit(app, "add", 1, 2)
    found = await wait_until_async(
        lambda: queues.find({"x"}, ["no-such-queue"]),
        accept=lambda found: found.checked == 1,
    )
    assert not found.is_complete
    queues.close()
