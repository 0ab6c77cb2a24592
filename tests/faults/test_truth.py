"""What is shown stays true, or becomes true again, whatever breaks."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from celery import Celery

from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_core.store.redis.store import RedisStore
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.memory_server import gone_worker, worker_of
from tests.support.herald.reconciling_monitor import submit, truth
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


def registered(task_id: str) -> Event:
    """Return what Herald stores before it sends a task itself."""
    now = time.time()
    return Event(kind="sent", task_id=task_id, at=now, source="submitted", name="add")


@pytest.mark.parametrize(
    "number", [200, pytest.param(600, marks=pytest.mark.soak, id="600")]
)
async def test_no_state_is_wrong_after_the_receiver_was_cut_three_times(
    module_app: Celery,
    project_app: AppFactory,
    proxy: Callable[[str], Proxy],
    number: int,
) -> None:
    app, conf = module_app, cast(Any, module_app).conf
    line = proxy(str(conf.broker_url))
    heralds = project_app(line.url, conf.result_backend, names=conf.herald_names)
    async with truth(heralds) as held:
        ids = [str(uuid4()) for _ in range(number)]
        known = ids[::2]
        await held.store.store([registered(i) for i in known], now=time.time())
        for position, task_id in enumerate(ids):
            cast(Any, app).send_task("sleepy", (0.05,), task_id=task_id)
            if position in (number // 4, number // 2, number * 3 // 4):
                line.refuse()
                await asyncio.sleep(0.15)
                line.heal()
            await asyncio.sleep(0.005)
        results = [cast(Any, app).AsyncResult(i) for i in ids]
        await wait_until_async(lambda: all(result.ready() for result in results))
        await held.are(known, "SUCCESS", 30)
        gaps = await held.closed(30)
        states = await held.states(ids)
        unknown = number - len(states)
        assert set(states.values()) == {"SUCCESS"}
        assert unknown <= sum(gap.missing for gap in gaps)
        assert len(gaps) >= 3
        assert sum(gap.repaired for gap in gaps) > 0


async def test_a_warm_shutdown_loses_nothing(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    async with truth(app, lost_after=1.0) as held:
        running = submit(app, "sleepy", 4)
        await held.are([running], "STARTED")
        waiting = [submit(app, "add", 1, n) for n in range(5)]
        stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
        await held.are([running], "SUCCESS", 30)
        await stopping
        await held.looks(3)
        # Nobody is there to run them, but their messages are.
        states = await held.states(waiting)
        assert set(states.values()) <= {"PENDING", "RECEIVED"}
        assert held.count("lost") == 0


async def test_a_task_that_waits_without_a_worker_is_not_lost(
    broker_url: str, valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(broker_url, valkey.url)
    async with truth(app, lost_after=0.5) as held:
        with cast(Any, app).connection_for_write() as connection:
            queue = cast(Any, app).amqp.queues[app.conf.task_default_queue]
            queue(connection.default_channel).declare()
        waiting = submit(app, "add", 1, 2)
        await held.are([waiting], "PENDING")
        await held.looks(3)
        assert (await held.image(waiting)).state == "PENDING"


async def test_a_task_whose_message_is_gone_is_lost(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    async with truth(app, lost_after=0.5) as held:
        task_id = str(uuid4())
        await held.store.store([registered(task_id)], now=time.time())
        await held.are([task_id], "LOST")
        reason = (await held.image(task_id)).reason
        assert "in no queue of the broker" in str(reason)


async def test_a_task_that_ends_without_a_word_is_lost_with_the_reason(
    module_app: Celery,
) -> None:
    async with truth(module_app, lost_after=1.0) as held:
        ignored = submit(module_app, "ignore")
        # What runs for longer is not.
        running = submit(module_app, "sleepy", 4)
        await held.are([ignored], "LOST", 30)
        assert "ended without a word" in str((await held.image(ignored)).reason)
        await held.are([running], "SUCCESS")
        assert held.count("lost") == 1


async def test_what_ran_on_a_dismissed_worker_is_lost(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    async with truth(app, lost_after=8.0) as held:
        running = submit(app, "sleepy", 60)
        await held.are([running], "STARTED")
        [before] = await wait_until_async(
            lambda: held.store.list_workers(now=time.time()),
            message="its heartbeat is heard",
        )
        await asyncio.to_thread(worker.kill)
        await wait_until_async(
            lambda: held.store.delete_worker(before.id, now=time.time()),
            30,
            accept=lambda state: state == "silent",
        )
        await held.are([running], "LOST", 30)
        assert await held.store.list_workers(now=time.time()) == []


async def test_a_pod_that_was_replaced_is_forgotten(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    old, new = "celery@web-7d9c6bdf54-x2x4k", "celery@web-5f7b8c9d44-wq9rt"
    started = worker_of(new, type="worker-online", freq=600.0)
    store = MemoryStore()
    heard = [gone_worker(old), gone_worker("celery@ip-10-1-2-3"), started]
    await store.store([], heard, now=time.time())
    async with truth(project_app(valkey.url, valkey.url), store, lost_after=1.0):
        left = await wait_until_async(
            lambda: store.list_workers(now=time.time()),
            30,
            accept=lambda workers: len(workers) <= 2,
        )
    assert [one.id for one in left] == ["celery@ip-10-1-2-3", new]


async def test_a_second_run_that_nobody_ended_leaves_what_the_backend_keeps(
    module_app: Celery,
) -> None:
    """The message came twice. Celery keeps the first success, whatever follows it."""
    async with truth(module_app, lost_after=1.0) as held:
        twice = submit(module_app, "add", 1, 2)
        await held.are([twice], "SUCCESS")
        submit(module_app, "sleepy", 3, task_id=twice)
        await held.are([twice], "STARTED")
        await held.are([twice], "SUCCESS")
        # Not before its worker said so.
        image = await held.image(twice)
        assert (image.source, image.result) == ("event", "3")
        submit(module_app, "ignore", task_id=twice)
        await held.are([twice], "STARTED")
        await held.are([twice], "SUCCESS")
        assert (await held.image(twice)).source == "backend"
        assert held.count("lost") == 0


async def test_a_task_is_not_lost_while_what_replaced_it_is_under_way(
    module_app: Celery,
) -> None:
    async with truth(module_app, lost_after=1.0) as held:
        # In its place runs a task of three seconds, and then one under its id.
        replaced = submit(module_app, "canvas.replaced", "slow", 3)
        await held.are([replaced], "SUCCESS")
        assert held.count("lost") == 0
        image = await held.image(replaced)
        assert (image.name, image.attempt) == ("canvas.replaced", 2)


async def test_what_runs_and_was_never_heard_of_is_found(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    running = submit(app, "sleepy", 5)
    later = submit(app, "add", 1, 2, countdown=30)
    inspect = cast(Any, app).control.inspect([worker.hostname])
    await wait_until_async(inspect.scheduled)
    store = MemoryStore()
    async with truth(app, store) as held:
        await held.are([running], "STARTED")
        await held.are([later], "RECEIVED")
        image = await held.image(running)
        assert (image.source, image.worker, image.name) == (
            "inspect",
            worker.hostname,
            "sleepy",
        )
        assert image.args == "(5,)"
        assert held.count("found") == 2
        await held.are([running], "SUCCESS")


async def test_a_monitor_that_starts_repairs_what_happened_without_it(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    store = MemoryStore()
    async with truth(app, store) as held:
        task_id = submit(app, "sleepy", 3)  # it outlives the monitor
        await held.are([task_id], "STARTED")
        assert await store.list_gaps() == []
    unseen = submit(app, "add", 1, 2)
    cast(Any, app).AsyncResult(unseen).get(timeout=30)
    async with truth(app, store, node="m2") as held:
        await held.are([task_id, unseen], "SUCCESS", 30)
        [gap] = await held.closed()
        assert (gap.reason, gap.repaired) == ("no monitor was running", 2)
        assert gap.closed_at is not None


async def test_only_one_monitor_reconciles_and_the_other_follows_it(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    store = RedisStore(valkey.url)
    await store.open()
    async with (
        truth(app, store, node="m1") as one,
        truth(app, store, node="m2") as other,
    ):
        await one.looks()
        assert one.monitor.make_view().reconciling
        assert not other.monitor.make_view().reconciling
        assert other.count("looks") == 0
    await store.close()


async def test_a_reconciler_that_is_killed_is_followed(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(valkey.url, valkey.url)
    env = {
        **os.environ,
        "HERALD_BROKER_URL": valkey.url,
        "HERALD_STORE_URL": valkey.url,
        "HERALD_NODE": "first",
    }
    words = [sys.executable, "-m", "herald_monitor"]
    process: subprocess.Popen[bytes] = spawn(words, tmp_path / "monitor.log", env=env)
    store = RedisStore(valkey.url)
    await store.open()
    try:
        await wait_until_async(
            store.list_monitors,
            30,
            accept=lambda found: any(m.reconciling for m in found),
        )
        async with truth(app, store, node="second") as held:
            await asyncio.sleep(0.1)
            assert not held.monitor.make_view().reconciling
            kill_group(process)
            await wait_until_async(lambda: held.monitor.make_view().reconciling)
            await held.looks()
    finally:
        terminate(process, 1)
        await store.close()
