"""A project with one worker, Herald that watches, and why its tasks do not get on."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from herald_monitor.store import Store
from herald_server.control import Control
from herald_server.durations import Durations
from herald_server.explaining import Explaining
from herald_server.stuck_facts import Why
from tests.mcp_house import House
from tests.servers import Worker
from tests.truth import submit
from tests.watched import control_of, in_state, online, settled, watched

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
    why: Callable[[str], Coroutine[Any, Any, Why]]
    gate: Path
    """Tasks named `hold` run until there is a file here."""

    async def reason(self, task_id: str) -> str:
        """Return the reason that is told now."""
        return (await self.why(task_id)).reason

    async def becomes(self, task_id: str, *reasons: str) -> Why:
        """Wait until one of `reasons` is told; return it."""
        found: list[Why] = []

        async def told() -> bool:
            found.append(await self.why(task_id))
            return found[-1].reason in reasons

        try:
            await settled(told)
        except TimeoutError:
            raise AssertionError(f"not {reasons}, but {found[-1:]}") from None
        return found[-1]

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

        async def why(task_id: str) -> Why:
            return await explained(made.store, control_of(made), task_id)

        await online(made, worker.hostname)
        yield Scene(app, worker, made, why, place / "gate")


async def explained(store: Store, control: Control | None, task_id: str) -> Why:
    """Return why a task is where it is."""
    # What was measured is remembered for a while: each question measures anew.
    return (await Explaining(store, control, Durations(store))(task_id))[1]


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
