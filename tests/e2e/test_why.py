"""Why a task does not get on, with a real worker: each reason where it is so, and that
it goes when it is not so any more."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from herald_server.diagnosis.explain import TaskDiagnoser
from herald_server.insight.stats.durations import RuntimeEstimator
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.monitored_server import control_of, in_state, online, watched
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.redis import PrivateValkey

pytestmark = [pytest.mark.anyio, pytest.mark.celery]

ONE_AHEAD = ("--prefetch-multiplier", "1")


async def test_each_reason_is_told_while_it_is_so(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(module_valkey.url, module_valkey.url)
    words = {"pool": "prefork", "concurrency": 1, "extra": ONE_AHEAD}
    worker = Worker(app, tmp_path / "worker.log", **words)  # type: ignore[arg-type]
    async with watched(app) as made:
        explain = TaskDiagnoser(
            made.store, control_of(made), RuntimeEstimator(made.store)
        )

        async def reason(task_id: str) -> str:
            return (await explain(task_id))[1].reason

        first = submit(app, "add", 1, 2)
        await in_state(made, first, "PENDING")
        assert await reason(first) == "no_worker"
        await asyncio.to_thread(worker.start)
        try:
            await online(made, worker.hostname)
            await in_state(made, first, "SUCCESS")
            assert await reason(first) == "over"
            later = submit(app, "add", 1, 2, countdown=60)
            await in_state(made, later, "RECEIVED")
            runs = submit(app, "sleepy", 60)
            await in_state(made, runs, "STARTED")
            ahead = submit(app, "add", 1, 2)
            await in_state(made, ahead, "RECEIVED")
            queued = submit(app, "add", 1, 2)
            stray = submit(app, "add", 1, 2, queue="stray")
            for task_id in (queued, stray):
                await in_state(made, task_id, "PENDING")
            asked = (later, runs, ahead, queued, stray)
            told = await asyncio.gather(*map(reason, asked))
            assert told == [
                "eta_ahead",
                "runs",
                "prefetched",
                "in_queue",
                "no_worker_on_queue",
            ]
            app.control.revoke(runs, terminate=True)
            for task_id in (runs, ahead, queued):
                await in_state(made, task_id, "REVOKED", "SUCCESS")
            told = await asyncio.gather(*map(reason, (runs, ahead, queued)))
            assert told == ["over"] * 3
        finally:
            worker.kill()
