"""A monitor that reconciles quickly, and what it found out, for tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any, cast

from celery import Celery

from herald_monitor.memory import MemoryStore
from herald_monitor.model.redaction import Redactor
from herald_monitor.model.shape import TaskImage
from herald_monitor.monitor import Monitor
from herald_monitor.store import Gap, Store
from tests.listening import until

LOST_AFTER = 2.0


class Truth:
    """A store, and the monitor that keeps it true."""

    def __init__(self, store: Store, monitor: Monitor) -> None:
        self.store = store
        self.monitor = monitor

    def count(self, name: str) -> int:
        """Return one of the reconciler's counters."""
        return self.monitor.image().counters[f"reconciler_{name}"]

    async def states(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the state of each task that is stored."""
        found = await self.store.tasks(list(ids))
        return {task.id: task.state for task in found if task is not None}

    async def are(self, ids: Iterable[str], state: str, within: float = 15.0) -> None:
        """Wait until all tasks are in `state`."""
        wanted, given_up = dict.fromkeys(ids, state), time.monotonic() + within
        while (states := await self.states(wanted)) != wanted:
            other = {i: states.get(i) for i in wanted if states.get(i) != state}
            assert time.monotonic() < given_up, f"not {state}: {other}"
            await asyncio.sleep(0.02)

    async def looks(self, number: int = 1, within: float = 15.0) -> None:
        """Wait until the reconciler has looked around so often from now on."""
        before = self.count("looks")
        await until(
            lambda: self.count("looks") >= before + number, within, f"{number} looks"
        )

    async def beats(self, hostname: str, within: float = 15.0) -> None:
        """Wait until a worker has told its own rhythm."""
        given_up = time.monotonic() + within
        while not any(
            worker.hostname == hostname and worker.freq
            for worker in await self.store.workers(now=time.time())
        ):
            assert time.monotonic() < given_up, f"no heartbeat of {hostname}"
            await asyncio.sleep(0.02)

    async def closed(self, within: float = 15.0) -> list[Gap]:
        """Wait until there are gaps and all are closed; return them."""
        given_up = time.monotonic() + within
        while True:
            gaps = await self.store.gaps()
            if gaps and all(gap.state == "closed" for gap in gaps):
                return gaps
            assert time.monotonic() < given_up, f"open: {gaps}"
            await asyncio.sleep(0.02)

    async def image(self, task_id: str) -> TaskImage:
        """Return a task."""
        return await self.store.task(task_id)


@contextlib.asynccontextmanager
async def truth(
    app: Celery,
    store: Store | None = None,
    *,
    node: str = "m1",
    listen_backend: bool = False,
    lost_after: float = LOST_AFTER,
    probe_every: float = 5.0,
    queues_every: float = 10.0,
) -> AsyncGenerator[Truth]:
    """Run a monitor for the length of the block, from when it hears events."""
    kept = store or MemoryStore()
    monitor = Monitor(
        app,
        kept,
        Redactor(),
        node,
        listen_backend=listen_backend,
        lost_after=lost_after,
        reconcile_every=0.5,
        queues_every=queues_every,
        probe_every=probe_every,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))
    try:
        await until(lambda: monitor.image().connected, message="connected")
        yield Truth(kept, monitor)
    finally:
        stop.set()
        await asyncio.wait_for(running, 5)


def submit(app: Celery, name: str, *args: object, **options: Any) -> str:
    """Send a task; return its id."""
    sent = cast(Any, app).send_task(name, args, **options)
    return str(sent.id)
