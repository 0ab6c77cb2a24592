"""A project with one worker, Herald that watches, and why its tasks do not get on."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from herald_core.store.ports import Store
from herald_server.control.control import Control
from herald_server.diagnosis.explain import TaskDiagnoser
from herald_server.diagnosis.facts import Diagnosis
from herald_server.insight.stats.durations import RuntimeEstimator
from tests.support.celery.worker import Worker
from tests.support.herald.mcp_environment import House
from tests.support.herald.monitored_server import control_of, in_state, online, watched
from tests.support.herald.reconciling_monitor import submit
from tests.support.wait import wait_until_async

QUICK = ("--prefetch-multiplier", "1", "--heartbeat-interval", "1")
"""One message ahead; silent after three seconds."""

SLOW = ("--prefetch-multiplier", "1", "--heartbeat-interval", "60")
"""One message ahead; not silent while the test runs."""

USUAL: Mapping[str, float] = {}

ENDS = ("SUCCESS", "FAILURE", "REVOKED")


class Scene(NamedTuple):
    """A project with one worker, and Herald that watches."""

    app: Any
    worker: Worker
    made: House
    why: Callable[[str], Coroutine[Any, Any, Diagnosis]]
    gate: Path
    """Tasks named `hold` run until there is a file here."""

    async def reason(self, task_id: str) -> str:
        """Return the reason that is told now."""
        return (await self.why(task_id)).reason

    async def becomes(self, task_id: str, *reasons: str) -> Diagnosis:
        """Wait until one of `reasons` is told; return it."""
        return await wait_until_async(
            lambda: self.why(task_id),
            30,
            f"one of {reasons}",
            accept=lambda why: why.reason in reasons,
        )

    async def is_over(self, *task_ids: str) -> None:
        """Wait until the tasks have ended; assert that nothing else is said of them."""
        for task_id in task_ids:
            await in_state(self.made, task_id, *ENDS)
            assert await self.reason(task_id) == "over"

    def hold(self, name: str = "hold") -> str:
        """Send a task that runs until `release`."""
        return submit(self.app, name, str(self.gate))

    async def busy(self) -> str:
        """Keep the worker busy until `release`; return the task that does."""
        runs = self.hold()
        await in_state(self.made, runs, "STARTED")
        return runs

    def release(self) -> None:
        """End what holds."""
        self.gate.touch()


@contextlib.asynccontextmanager
async def scene_of(
    app: Any,
    place: Path,
    *,
    store: Store | None = None,
    extra: tuple[str, ...] = QUICK,
    pool: str = "threads",
    ours: Any = None,
    monitor: Mapping[str, float] = USUAL,
) -> AsyncGenerator[Scene]:
    """Run a worker of one slot, and Herald; `monitor` are settings of its monitor.

    `ours` is the app that Herald has, if it is another than the project's.
    """
    worker = Worker(app, place / "w.log", pool=pool, concurrency=1, extra=extra)
    async with working(worker), watched(ours or app, store, **monitor) as made:

        async def why(task_id: str) -> Diagnosis:
            return await explained(made.store, control_of(made), task_id)

        await online(made, worker.hostname)
        yield Scene(app, worker, made, why, place / "gate")


async def explained(store: Store, control: Control | None, task_id: str) -> Diagnosis:
    """Return why a task is where it is."""
    # What was measured is remembered for a while: each question measures anew.
    return (await TaskDiagnoser(store, control, RuntimeEstimator(store))(task_id))[1]


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncGenerator[Worker]:
    """Run a worker, which the block may stop and kill."""
    await asyncio.to_thread(worker.start)
    try:
        yield worker
    finally:
        if worker.alive:
            os.kill(worker.pid, signal.SIGCONT)
        worker.kill()
