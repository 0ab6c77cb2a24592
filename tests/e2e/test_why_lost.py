"""What is said of tasks that are lost, given up, or forgotten, and until when."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from herald_core.store.memory.store import MemoryStore
from tests.support.celery.worker import AppFactory
from tests.support.herald.monitor_process import SOON
from tests.support.herald.monitored_server import in_state, online
from tests.support.herald.reconciling_monitor import submit
from tests.support.herald.stuck_task_environment import Scene, scene_of
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


def deliver_again(url: str) -> None:
    """Have what nobody confirmed delivered again, as after `visibility_timeout`."""
    with Connection(url, transport_options={"visibility_timeout": 0}) as connection:
        channel: Any = connection.default_channel
        channel.qos.restore_visible()


async def restarted(scene: Scene) -> None:
    """Kill the worker, and start one of that name; wait until that is known."""
    before = await _started_at(scene)
    scene.worker.kill()
    await asyncio.to_thread(scene.worker.start)

    async def known() -> bool:
        return await _started_at(scene) != before

    await wait_until_async(known, 30)
    await online(scene.made, scene.worker.hostname)


async def _started_at(scene: Scene) -> str | None:
    [worker] = await scene.made.store.list_workers(
        now=asyncio.get_running_loop().time()
    )
    return worker.started_at


async def test_what_a_worker_that_was_killed_had(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    async with scene_of(app, tmp_path, monitor=SOON) as scene:
        runs = await scene.busy()
        received = submit(app, "add", 1, 2)
        await in_state(scene.made, received, "RECEIVED")
        await scene.becomes(received, "prefetched")
        await restarted(scene)
        told = await scene.becomes(received, "not_held")
        assert "Its message is not confirmed" in told.message
        told = await scene.becomes(runs, "lost")
        assert told.message.startswith("It is lost: worker "), told
        assert "retry_task" in told.advice
        deliver_again(valkey.url)
        scene.release()
        app.send_task("hold", (str(scene.gate),), task_id=runs)
        await scene.is_over(received, runs)


async def test_what_ends_without_a_word(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    async with scene_of(app, tmp_path, monitor=SOON) as scene:
        ignored = submit(app, "ignore")
        runs = await scene.busy()
        told = await scene.becomes(ignored, "not_held")
        assert "no end of it was heard" in told.message
        told = await scene.becomes(ignored, "lost")
        assert "lives but has it no more" in told.message
        assert f"See the log of {scene.worker.hostname}, which lives" in told.advice
        await scene.becomes(runs, "runs")
        scene.release()
        app.send_task("add", (1, 2), task_id=ignored)
        await scene.is_over(runs, ignored)


async def test_what_was_known_is_kept_for_a_time(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    store = MemoryStore(retention=3.0)
    async with scene_of(app, tmp_path, store=store) as scene:
        done = submit(app, "add", 1, 2)
        await scene.is_over(done)
        await scene.becomes(done, "record_ran_out")
