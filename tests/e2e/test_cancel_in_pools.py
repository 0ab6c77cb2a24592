"""Cancels, answered by what workers of each pool can do."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from herald_server.control.control import CancelResult
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.monitored_server import control_of, in_state, online, watched
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("cancel_in_pools"),
]


@pytest.mark.parametrize(
    ("pool", "backend"),
    [
        *(("prefork", True), ("gevent", False), ("eventlet", True)),
        pytest.param("prefork", False, marks=pytest.mark.soak),
        pytest.param("gevent", True, marks=pytest.mark.soak),
        pytest.param("eventlet", False, marks=pytest.mark.soak),
    ],
)
async def test_pools_that_stop_what_runs_terminate_it(
    module_valkey: PrivateValkey,
    project_app: AppFactory,
    tmp_path: Path,
    pool: str,
    backend: bool,
) -> None:
    app = project_app(module_valkey.url, module_valkey.url if backend else None)
    worker = Worker(app, tmp_path / "worker.log", pool=pool, concurrency=4)
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            await online(made, worker.hostname)
            outcomes: list[CancelResult] = []
            for _ in range(3):
                sent = app.send_task("sleepy", kwargs={"seconds": 60})
                await in_state(made, sent.id, "STARTED")
                outcomes.append(await control_of(made).cancel(sent.id))
        finally:
            worker.kill()
        tasks = [await made.store.get_task(one.task_id) for one in outcomes]
    assert [one.outcome for one in outcomes] == ["terminated"] * 3
    assert [(one.state, one.conflict) for one in tasks] == [("REVOKED", False)] * 3


async def test_threads_stop_nothing_that_runs_and_never_run_what_waited(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    words = ("--prefetch-multiplier", "4")
    log = tmp_path / "worker.log"
    worker = Worker(app, log, pool="threads", concurrency=1, extra=words)
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            await online(made, worker.hostname)
            gate = tmp_path / "gate"
            runs = app.send_task("hold", (str(gate),))
            waits = app.send_task("sleepy", kwargs={"seconds": 60})
            await in_state(made, runs.id, "STARTED")
            await in_state(made, waits.id, "RECEIVED")
            running = await control_of(made).cancel(runs.id)
            waiting = await control_of(made).cancel(waits.id)
            gate.touch()
            ended = await in_state(made, runs.id, "SUCCESS")
            waited = await wait_until_async(
                lambda: made.store.get_task(waits.id),
                accept=lambda task: task.started_at,
            )
        finally:
            worker.kill()
    assert running.outcome == "taken"
    assert "cannot stop what it runs (NotImplementedError" in running.message
    assert ended.state == "SUCCESS"
    assert waiting.outcome == "revoked"
    assert waited.started_at is not None
    assert waited.state == "REVOKED"


async def test_a_solo_worker_that_works_has_not_answered(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log", pool="solo", concurrency=1)
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            await online(made, worker.hostname)
            gate = tmp_path / "gate"
            sent = app.send_task("hold", (str(gate),))
            await in_state(made, sent.id, "PENDING", "STARTED")
            ping = cast(Any, app).control.ping

            async def is_deaf() -> bool:
                return not await asyncio.to_thread(ping, timeout=0.5)

            await wait_until_async(is_deaf, 30)
            told = await control_of(made).cancel(sent.id)
            gate.touch()
            ended = await in_state(made, sent.id, "SUCCESS", "REVOKED")
        finally:
            worker.kill()
    assert told.outcome == "unanswered"
    assert ended.state == "SUCCESS"
