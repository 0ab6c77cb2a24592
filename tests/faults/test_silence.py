"""What silence of real workers means: rows of the table in reconciliation.md that are
not held by the tests of pools, killed workers and shared names."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.herald.reconciling_monitor import Truth, submit, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.celery]

QUICK = ("--heartbeat-interval", "1")
QUIET = ("--without-heartbeat", "--without-gossip", "--without-mingle")
MUTE: dict[str, object] = {"worker_enable_remote_control": False}


class MuteWorker(Worker):
    """A worker that answers no question."""

    def _answers(self) -> bool:
        return self.log.exists() and " ready." in self.log.read_text()


@contextlib.contextmanager
def working(worker: Worker) -> Generator[Worker]:
    """End the worker with the block."""
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGCONT)
        worker.kill()


async def states_of(held: Truth, task_id: str, within: float) -> list[str]:
    """Return the states in which the task is told until it is final."""
    told: list[str] = []

    async def is_final() -> bool:
        task = await held.image(task_id)
        told.extend([task.state] if told[-1:] != [task.state] else [])
        return task.final

    await wait_until_async(is_final, within, f"{told} has an end")
    return told


async def test_after_its_goodbye_a_worker_finishes_what_runs(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, concurrency=1, extra=QUICK)
    async with truth(app, lost_after=0.5) as held:
        task_id = submit(app, "sleepy", 3)
        await held.are([task_id], "STARTED")
        os.kill(worker.pid, signal.SIGTERM)
        assert await states_of(held, task_id, 15) == ["STARTED", "SUCCESS"]


@pytest.mark.rabbitmq
async def test_what_waits_may_be_with_a_consumer_of_whom_nothing_is_heard(
    amqp_url: str, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(amqp_url, herald_shared=MUTE)
    worker = MuteWorker(
        app, tmp_path / "w.log", concurrency=1, events=False, extra=QUIET
    )
    with working(worker):
        await asyncio.to_thread(worker.start)
        async with truth(app, lost_after=0.5) as held:
            task_id = submit(app, "sleepy", 60)
            await held.are([task_id], "PENDING")
            await held.looks(6)
            assert await held.states([task_id]) == {task_id: "PENDING"}
            worker.kill()
            # Its message was confirmed: nobody will run it any more.
            await held.are([task_id], "LOST")


@pytest.mark.rabbitmq
async def test_a_stopped_worker_that_never_answers_lives_while_it_consumes(
    amqp_url: str, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(amqp_url, herald_shared=MUTE)
    worker = MuteWorker(app, tmp_path / "w.log", concurrency=1, extra=QUICK)
    with working(worker):
        await asyncio.to_thread(worker.start)
        async with truth(app, lost_after=0.5) as held:
            await held.beats(worker.hostname)
            task_id = submit(app, "sleepy", 60)
            await held.are([task_id], "STARTED")
            os.kill(worker.pid, signal.SIGSTOP)
            await silent(held, worker.hostname)
            await held.looks(3)
            assert await held.states([task_id]) == {task_id: "STARTED"}
            worker.kill()
            await held.are([task_id], "LOST")


async def silent(held: Truth, hostname: str) -> None:
    """Wait until a worker is shown as silent."""
    await wait_until_async(
        lambda: held.store.list_workers(now=time.time()),
        30,
        f"{hostname} is silent",
        accept=lambda workers: any(
            w.hostname == hostname and w.state == "silent" for w in workers
        ),
    )


async def test_a_worker_without_heartbeats_is_online_while_it_answers(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app: Any = project_app(valkey.url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", extra=QUIET)
    async with truth(app, lost_after=0.5) as held:
        running = submit(app, "sleepy", 60)
        await held.are([running], "STARTED")
        await held.looks(6)
        assert await held.states([running]) == {running: "STARTED"}
        workers = await held.store.list_workers(now=time.time())
        assert [w.state for w in workers] == ["online"]
        worker.kill()


# 20 s; the rule itself is in unit/herald_core/model/workers/test_consumption.py
@pytest.mark.soak
@pytest.mark.rabbitmq
async def test_what_a_rate_limit_keeps_back_is_not_lost(
    amqp_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app: Any = project_app(amqp_url)
    options = {"pool": "threads", "concurrency": 1, "extra": QUICK}
    await asyncio.to_thread(celery_worker, app, **options)
    async with truth(app, lost_after=1.0) as held:
        assert app.control.rate_limit("add", "3/m", reply=True, timeout=5)
        first, second = (submit(app, "add", 1, 2) for _ in range(2))
        await held.are([first], "SUCCESS")
        assert await states_of(held, second, 40) in (
            ["RECEIVED", "STARTED", "SUCCESS"],
            ["RECEIVED", "SUCCESS"],
        )
