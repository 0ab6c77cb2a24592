"""A worker is killed without a goodbye: what ran on it is lost, and nothing else."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitor_process import MonitorProcess, heard_by, open_store
from tests.support.herald.reconciling_monitor import Truth, submit, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


QUICK = ("--heartbeat-interval", "1")
"""So that a worker counts as silent after three seconds."""


async def four_received(held: Truth, ids: list[str]) -> set[str]:
    """Wait until a worker has taken and not begun four of `ids`; return which."""

    async def received() -> set[str]:
        states = await held.states(ids)
        return {task_id for task_id, state in states.items() if state == "RECEIVED"}

    return await wait_until_async(received, accept=lambda found: len(found) >= 4)


async def test_what_ran_on_a_worker_that_was_killed_is_lost_and_nothing_else(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    worker = await asyncio.to_thread(
        celery_worker, app, pool="threads", concurrency=8, extra=QUICK
    )
    async with truth(app) as held:
        done = submit(app, "add", 1, 2)
        await held.are([done], "SUCCESS")
        running = [submit(app, "sleepy", 60) for _ in range(4)]
        late = [submit(app, "late", 60) for _ in range(4)]
        await held.are(running + late, "STARTED")
        waiting = [submit(app, "add", 1, n) for n in range(12)]
        await held.beats(worker.hostname)
        # It holds eight messages that it has not confirmed, and takes no more now:
        # one that it takes from Redis as it dies is lost in earnest.
        await four_received(held, waiting)
        worker.kill()
        await held.are(running, "LOST", 30)
        # Their messages are not confirmed, so they will run again one day.
        await held.are(late, "PENDING", 30)
        image = await held.image(running[0])
        assert (image.source, image.worker, image.final) == (
            "inferred",
            worker.hostname,
            False,
        )
        assert f"worker {worker.hostname}, which ran it, has been silent for" in str(
            image.reason
        )
        assert "deliver it again" in str((await held.image(late[0])).reason)
        await held.looks(3)
        assert "LOST" not in (await held.states(waiting)).values()
        assert (await held.image(done)).state == "SUCCESS"
        assert held.count("lost") == 4


@pytest.mark.rabbitmq
async def test_a_worker_that_connects_again_has_what_it_runs(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    worker = await asyncio.to_thread(celery_worker, app, concurrency=1)
    async with truth(app) as held:
        await held.are([submit(app, "add", 1, 2)], "SUCCESS")
        runs = submit(app, "sleepy", 8)
        await held.are([runs], "STARTED")
        [before] = await held.store.list_workers(now=time.time())
        with valkey.client() as client:
            for kind in ("pubsub", "normal"):
                cast(Any, client).client_kill_filter(_type=kind, skipme=True)
        await wait_until_async(
            lambda: worker.log.read_text().count("Connected to redis") > 1,
            message="the worker is connected again",
        )
        await held.beats(worker.hostname)
        await held.looks(3)
        [again] = await held.store.list_workers(now=time.time())
        assert again.started_at == before.started_at
        assert (await held.image(runs)).state == "STARTED"
        await held.are([runs], "SUCCESS")
        assert held.count("lost") == 0


async def test_what_is_delivered_again_is_not_lost_any_more(
    amqp_url: str,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
) -> None:
    app = project_app(amqp_url, valkey.url)
    worker = await asyncio.to_thread(
        celery_worker, app, pool="threads", concurrency=2, extra=QUICK
    )
    async with truth(app) as held:
        await held.beats(worker.hostname)
        gone, late = submit(app, "sleepy", 60), submit(app, "late", 5)
        await held.are([gone, late], "STARTED")
        # What a worker was last seen to run tells whether it comes again.
        await held.looks(2)
        worker.kill()
        await held.are([gone], "LOST", 30)
        await held.are([late], "PENDING", 30)
        assert "deliver it again" in str((await held.image(late)).reason)
        assert "deliver" not in str((await held.image(gone)).reason)
        await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=2)
        await held.are([late], "SUCCESS", 30)
        image = await held.image(late)
        assert (image.attempt, image.reason) == (2, None)
        assert (await held.image(gone)).state == "LOST"


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize("redelivers", [False, pytest.param(True, id="rabbitmq")])
async def test_a_killed_worker_is_noticed_within_90_seconds_as_herald_is_shipped(
    request: pytest.FixtureRequest,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
    redelivers: bool,
) -> None:
    """The monitor is a process with no setting but its URLs, the workers likewise."""
    broker = request.getfixturevalue("amqp_url") if redelivers else valkey.url
    place = valkey.url.rpartition("/")[0]
    app: Celery = project_app(str(broker), f"{place}/1")
    monitor = MonitorProcess(app, f"{place}/2", tmp_path / "monitor.log", "m1")
    monitor.start()
    async with open_store(f"{place}/2") as store:
        held = Truth(store, cast(Any, None))
        await heard_by(store, monitor, 20)
        worker = await asyncio.to_thread(celery_worker, app, concurrency=8)
        done = submit(app, "add", 1, 2)
        await held.are([done], "SUCCESS")
        gone = [submit(app, "sleepy", 300) for _ in range(4)]
        late = [submit(app, "late", 20) for _ in range(4)]
        await held.are(gone + late, "STARTED")
        waiting = [submit(app, "add", 1, n) for n in range(40)]
        taken = await four_received(held, waiting)
        await asyncio.to_thread(celery_worker, app, concurrency=8)
        worker.kill()
        killed = time.monotonic()
        # Redis gives out again what the dead worker took, but only after an hour.
        left = set(waiting) - (set() if redelivers else taken)
        await held.are(left, "SUCCESS", 30)
        if redelivers:
            await held.are(late, "SUCCESS", 90)
        else:
            await held.are(late, "PENDING", 90)
        lost = gone
        await held.are(lost, "LOST", 90)
        took = time.monotonic() - killed
        print(f"{len(lost)} tasks were lost {took:.1f} s after the worker's death")
        assert took < 90
        reasons = {str((await held.image(one)).reason) for one in gone}
        assert all(f"worker {worker.hostname}, which ran it," in r for r in reasons)
        if not redelivers:
            told = {str((await held.image(one)).reason) for one in late}
            assert all("deliver it again" in reason for reason in told)
        states = await held.states([done, *waiting, *gone, *late])
        assert sorted(i for i, s in states.items() if s == "LOST") == sorted(lost)
    monitor.stop()
