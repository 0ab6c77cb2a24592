"""Why a task does not get on behind a worker that is busy, and when that is over."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.conftest import AppFactory
from tests.mcp_house import House
from tests.servers import PrivateValkey, Worker
from tests.truth import submit
from tests.watched import control_of, in_state, online, settled, watched

from herald_server.durations import LEAST, Durations
from herald_server.explaining import Explaining

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

QUICK = ("--prefetch-multiplier", "1", "--heartbeat-interval", "1")
"""One message ahead; silent after three seconds."""

ENDS = ("SUCCESS", "FAILURE", "REVOKED")


class Scene(NamedTuple):
    """A project with one worker of one slot, and Herald that watches."""

    app: Any
    worker: Worker
    made: House
    reason: Callable[[str], Awaitable[str]]

    async def becomes(self, task_id: str, reason: str) -> None:
        """Wait until that is the reason."""

        async def told() -> bool:
            return await self.reason(task_id) == reason

        await settled(told)

    async def is_over(self, *task_ids: str) -> None:
        """Wait until the tasks have ended; assert that nothing else is said of them."""
        for task_id in task_ids:
            await in_state(self.made, task_id, *ENDS)
            assert await self.reason(task_id) == "over"

    async def busy(self, seconds: float) -> str:
        """Give the worker something to do for so long."""
        runs = submit(self.app, "sleepy", seconds)
        await in_state(self.made, runs, "STARTED")
        return runs


@pytest.fixture
async def scene(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> AsyncGenerator[Scene]:
    app: Any = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    async with _working(app, tmp_path) as worker, watched(app) as made:

        async def reason(task_id: str) -> str:
            # What was measured is remembered for a while: each question measures anew.
            explain = Explaining(made.store, control_of(made), Durations(made.store))
            return (await explain(task_id))[1].reason

        await online(made, worker.hostname)
        yield Scene(app, worker, made, reason)


@asynccontextmanager
async def _working(app: Any, place: Path) -> AsyncGenerator[Worker]:
    worker = Worker(app, place / "w.log", pool="threads", concurrency=1, extra=QUICK)
    await asyncio.to_thread(worker.start)
    try:
        yield worker
    finally:
        os.kill(worker.pid, signal.SIGCONT)
        worker.kill()


async def test_behind_a_task_that_runs(scene: Scene) -> None:
    await scene.busy(6)
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
    await scene.is_over(received, nobodys, late)


async def test_a_message_that_is_gone(scene: Scene, valkey: PrivateValkey) -> None:
    runs = await scene.busy(5)
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    gone = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, gone, "PENDING")
    assert await scene.reason(gone) == "in_queue"
    with valkey.client() as client:
        client.delete(scene.app.conf.task_default_queue)
    assert await scene.reason(gone) == "nowhere"
    await scene.is_over(runs, received)


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


async def test_longer_than_its_kind(scene: Scene) -> None:
    await scene.is_over(*[submit(scene.app, "sleepy", 0.5) for _ in range(LEAST)])
    runs = await scene.busy(4)
    assert await scene.reason(runs) == "runs"
    await scene.becomes(runs, "runs_long")
    await scene.is_over(runs)


async def test_a_worker_that_stands_still(scene: Scene) -> None:
    runs = await scene.busy(5)
    assert await scene.reason(runs) == "runs"
    os.kill(scene.worker.pid, signal.SIGSTOP)
    await scene.becomes(runs, "worker_silent")
    os.kill(scene.worker.pid, signal.SIGCONT)
    await scene.is_over(runs)


async def test_steps_of_a_chain(scene: Scene) -> None:
    control = control_of(scene.made)
    going = await control.start_chain([("sleepy", {"seconds": 4}), ("ignore", {})])
    first, second = (one.task_id for one in going.tasks)
    await in_state(scene.made, first, "STARTED")
    assert await scene.reason(second) == "waits_for_predecessor"
    broken = await control.start_chain([("sleepy", {"seconds": 1}), ("ignore", {})])
    cancelled, never = (one.task_id for one in broken.tasks)
    await in_state(scene.made, cancelled, "RECEIVED")
    scene.app.control.revoke(cancelled)
    await scene.is_over(first, cancelled)
    assert await scene.reason(never) == "predecessor_ended"
    await in_state(scene.made, second, "STARTED", *ENDS)
    assert await scene.reason(second) != "waits_for_predecessor"


async def test_a_task_that_nobody_told_of(scene: Scene) -> None:
    runs = await scene.busy(4)
    received = submit(scene.app, "add", 1, 2)
    await in_state(scene.made, received, "RECEIVED")
    scene.app.conf.task_send_sent_event = False
    unheard = submit(scene.app, "add", 1, 2)
    assert await scene.reason(unheard) == "queued_unheard"
    assert await scene.reason("never-sent") == "unknown"
    await scene.is_over(runs, received, unheard)
