"""Why a task does not get on behind a worker that is busy, and when that is over."""

import os
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from herald_server.control.start.send_options import SendOptions
from herald_server.insight.stats.durations import MIN_RUNS
from tests.support.celery.worker import AppFactory
from tests.support.herald.monitored_server import control_of, in_state
from tests.support.herald.reconciling_monitor import submit
from tests.support.herald.stuck_task_environment import Scene, scene_of
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


@pytest.fixture
async def scene(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> AsyncGenerator[Scene]:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    async with scene_of(app, tmp_path) as made:
        yield made


@pytest.fixture
async def bare(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> AsyncGenerator[Scene]:
    """Without a result backend, in which workers would store REVOKED at once."""
    async with scene_of(project_app(valkey.url), tmp_path) as made:
        yield made


async def test_behind_a_task_that_runs(bare: Scene) -> None:
    scene = bare
    await scene.busy()
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    nobodys = submit(scene.app, "not.there")
    late = submit(scene.app, "add", 1, 2, expires=1)
    for task_id in (nobodys, late):
        await in_state(scene.made, task_id, "PENDING")
    await scene.becomes(nobodys, "not_registered")
    await scene.becomes(late, "expired")
    await scene.becomes(received, "prefetched")
    scene.app.control.revoke(received)
    await scene.becomes(received, "revoked")
    scene.release()
    await scene.is_over(received, nobodys, late)


async def test_a_message_that_is_gone(scene: Scene, valkey: PrivateValkey) -> None:
    queue = scene.app.conf.task_default_queue
    runs = await scene.busy()
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    gone = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, gone, "PENDING")
    await scene.becomes(gone, "in_queue")
    with valkey.client() as client:
        client.rename(queue, "elsewhere")
        await scene.becomes(gone, "nowhere")
        client.rename("elsewhere", queue)
    await scene.becomes(gone, "in_queue")
    scene.release()
    await scene.is_over(runs, received, gone)


async def test_a_rate_limit(scene: Scene) -> None:
    told = scene.app.control.rate_limit("add", "12/m", reply=True, timeout=5)
    assert told
    ids = [submit(scene.app, "add", 1, 2) for _ in range(2)]
    await in_state(scene.made, ids[0], "SUCCESS")
    await in_state(scene.made, ids[1], "RECEIVED")
    await scene.becomes(ids[1], "rate_limited")
    await scene.is_over(*ids)


async def test_between_two_attempts(scene: Scene) -> None:
    retried = submit(scene.app, "retry_twice", 2)
    await in_state(scene.made, retried, "RETRY")
    await scene.becomes(retried, "waits_for_retry")
    await scene.is_over(retried)


async def test_before_its_time(scene: Scene) -> None:
    later = submit(scene.app, "add", 1, 2, countdown=3)
    await in_state(scene.made, later, "RECEIVED")
    await scene.becomes(later, "eta_ahead")
    await scene.is_over(later)


async def test_longer_than_its_kind(scene: Scene) -> None:
    await scene.is_over(*[submit(scene.app, "sleepy", 0.5) for _ in range(MIN_RUNS)])
    runs = submit(scene.app, "sleepy", 4)
    await in_state(scene.made, runs, "STARTED")
    await scene.becomes(runs, "runs")
    await scene.becomes(runs, "runs_long")
    await scene.is_over(runs)


async def test_a_worker_that_stands_still(scene: Scene) -> None:
    runs = await scene.busy()
    await scene.becomes(runs, "runs")
    os.kill(scene.worker.pid, signal.SIGSTOP)
    await scene.becomes(runs, "worker_silent")
    os.kill(scene.worker.pid, signal.SIGCONT)
    await scene.becomes(runs, "runs")
    scene.release()
    await scene.is_over(runs)


async def test_steps_of_a_chain(scene: Scene) -> None:
    control = control_of(scene.made)
    hold, then = ("hold", {"path": str(scene.gate)}), ("add", {"x": 1, "y": 2})
    going = await control.start_chain([hold, then])
    first, second = (one.task_id for one in going.tasks)
    await in_state(scene.made, first, "STARTED")
    await scene.becomes(second, "waits_for_predecessor")
    # What waits for its time can be revoked; what waits in a pool of threads runs.
    soon = SendOptions(eta=time.time() + 2)
    broken = await control.start_chain([hold, then], soon)
    cancelled, never = (one.task_id for one in broken.tasks)
    await in_state(scene.made, cancelled, "RECEIVED")
    assert scene.app.control.revoke(cancelled, reply=True, timeout=5)
    scene.release()
    await scene.is_over(first, cancelled)
    await scene.becomes(never, "predecessor_ended")
    await scene.is_over(second)


async def test_a_task_that_nobody_told_of(scene: Scene) -> None:
    runs = await scene.busy()
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    scene.app.conf.task_send_sent_event = False
    await scene.becomes("unheard", "unknown")
    submit(scene.app, "add", 1, 2, task_id="unheard")
    await scene.becomes("unheard", "queued_unheard")
    scene.release()
    await scene.is_over(runs, received, "unheard")
