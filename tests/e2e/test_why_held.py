"""Why a task does not get on that a worker has, whatever events told of it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitored_server import in_state
from tests.support.herald.stuck_task_environment import SLOW, scene_of
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

SELDOM = {"reconcile_every": 600.0}


async def test_a_task_that_sends_no_events(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(valkey.url)
    async with scene_of(app, tmp_path, monitor=SELDOM) as scene:
        sent = scene.hold("silent_hold")
        await in_state(scene.made, sent, "PENDING")
        told = await scene.becomes(sent, "runs")
        assert f"{scene.worker.hostname} answers that it runs it" in told.message
        scene.release()
        await scene.becomes(sent, "nowhere", "not_held")


async def test_a_task_of_which_nobody_tells(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(valkey.url, task_send_sent_event=False)
    async with scene_of(app, tmp_path, monitor=SELDOM) as scene:
        unheard = scene.hold("silent_hold")
        told = await scene.becomes(unheard, "held_unheard", "runs")
        while told.reason == "runs":  # the monitor found it first
            scene.release()
            await scene.becomes(unheard, "not_held")
            scene.gate.unlink()
            unheard = scene.hold("silent_hold")
            told = await scene.becomes(unheard, "held_unheard", "runs")
        assert f"worker {scene.worker.hostname} has it (active)" in told.message
        scene.release()
        # Nothing ever tells of its end.
        told = await scene.becomes(unheard, "unknown", "not_held")
        assert "None" not in told.message


async def test_what_a_worker_has_that_says_nothing(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    """A solo worker tells of a task that it took only when that ends."""
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    async with scene_of(app, tmp_path, pool="solo", extra=SLOW) as scene:
        taken = scene.hold("late_hold")
        await in_state(scene.made, taken, "PENDING")
        told = await scene.becomes(taken, "given_out")
        assert "has not confirmed it, and no event of that was heard" in told.message
        scene.release()
        await scene.is_over(taken)


async def test_what_ends_while_workers_are_asked_is_told_as_it_is(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    """A worker that does not answer holds up the questions to the others."""
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    extra = (*SLOW, "-Q", "other")
    stopped = await asyncio.to_thread(celery_worker, app, pool="solo", extra=extra)
    async with scene_of(app, tmp_path, extra=SLOW) as scene:
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            runs = await scene.busy()
            telling = asyncio.create_task(scene.why(runs))
            await asyncio.sleep(0)
            scene.release()
            assert (await telling).reason in ("runs", "over")
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
