"""Why a task does not get on behind a worker that is busy, and when that is over."""

import os
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import AppFactory
from tests.servers import PrivateValkey
from tests.truth import submit
from tests.watched import control_of, in_state
from tests.why_scene import Scene, scene_of

from herald_server.durations import LEAST
from herald_server.options import Options

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
    assert await scene.reason(nobodys) == "not_registered"
    await scene.becomes(late, "expired")
    assert await scene.reason(received) == "prefetched"
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
    assert await scene.reason(gone) == "in_queue"
    with valkey.client() as client:
        client.rename(queue, "elsewhere")
        assert await scene.reason(gone) == "nowhere"
        client.rename("elsewhere", queue)
    assert await scene.reason(gone) == "in_queue"
    scene.release()
    await scene.is_over(runs, received, gone)


async def test_a_rate_limit(scene: Scene) -> None:
    told = scene.app.control.rate_limit("add", "12/m", reply=True, timeout=5)
    assert told
    ids = [submit(scene.app, "add", 1, 2) for _ in range(2)]
    await in_state(scene.made, ids[0], "SUCCESS")
    await in_state(scene.made, ids[1], "RECEIVED")
    assert await scene.reason(ids[1]) == "rate_limited"
    await scene.is_over(*ids)


async def test_between_two_attempts(scene: Scene) -> None:
    retried = submit(scene.app, "retry_twice", 2)
    await in_state(scene.made, retried, "RETRY")
    assert await scene.reason(retried) == "waits_for_retry"
    await scene.is_over(retried)


async def test_before_its_time(scene: Scene) -> None:
    later = submit(scene.app, "add", 1, 2, countdown=3)
    await in_state(scene.made, later, "RECEIVED")
    assert await scene.reason(later) == "eta_ahead"
    await scene.is_over(later)


async def test_longer_than_its_kind(scene: Scene) -> None:
    await scene.is_over(*[submit(scene.app, "sleepy", 0.5) for _ in range(LEAST)])
    runs = submit(scene.app, "sleepy", 4)
    await in_state(scene.made, runs, "STARTED")
    assert await scene.reason(runs) == "runs"
    await scene.becomes(runs, "runs_long")
    await scene.is_over(runs)


async def test_a_worker_that_stands_still(scene: Scene) -> None:
    runs = await scene.busy()
    assert await scene.reason(runs) == "runs"
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
    assert await scene.reason(second) == "waits_for_predecessor"
    # What waits for its time can be revoked; what waits in a pool of threads runs.
    soon = Options(eta=time.time() + 2)
    broken = await control.start_chain([hold, then], soon)
    cancelled, never = (one.task_id for one in broken.tasks)
    await in_state(scene.made, cancelled, "RECEIVED")
    assert scene.app.control.revoke(cancelled, reply=True, timeout=5)
    scene.release()
    await scene.is_over(first, cancelled)
    assert await scene.reason(never) == "predecessor_ended"
    await scene.is_over(second)


async def test_a_task_that_nobody_told_of(scene: Scene) -> None:
    runs = await scene.busy()
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    scene.app.conf.task_send_sent_event = False
    assert await scene.reason("unheard") == "unknown"
    submit(scene.app, "add", 1, 2, task_id="unheard")
    assert await scene.reason("unheard") == "queued_unheard"
    scene.release()
    await scene.is_over(runs, received, "unheard")
