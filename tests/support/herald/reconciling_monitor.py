"""A monitor that reconciles quickly, and what it found out, for tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterable
from operator import not_
from typing import Any, cast

from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.model.gaps import OPEN, Gap
from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_monitor.ingest.stream_silence import PROBE_INTERVAL_S
from herald_monitor.runtime.monitor import Monitor
from tests.support.wait import TIMEOUT_S, wait_until_async

LOST_AFTER = 2.0


class Truth:
    """A store, and the monitor that keeps it true."""

    def __init__(self, store: Store, monitor: Monitor) -> None:
        self.store = store
        self.monitor = monitor

    def count(self, name: str) -> int:
        """Return one of the reconciler's counters."""
        return self.monitor.make_view().counters[f"reconciler_{name}"]

    async def states(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the state of each task that is stored."""
        found = await self.store.get_tasks(list(ids))
        return {task.id: task.state for task in found if task is not None}

    async def are(
        self, ids: Iterable[str], state: str, within: float = TIMEOUT_S
    ) -> None:
        """Wait until all tasks are in `state`."""
        wanted = list(ids)

        async def others() -> dict[str, str | None]:
            states = await self.states(wanted)
            return {i: states.get(i) for i in wanted if states.get(i) != state}

        await wait_until_async(others, within, f"all are {state}", accept=not_)

    async def looks(self, number: int = 1, within: float = TIMEOUT_S) -> None:
        """Wait until the reconciler has looked around so often from now on."""
        before = self.count("looks")
        await wait_until_async(
            lambda: self.count("looks") >= before + number, within, f"{number} looks"
        )

    async def beats(self, hostname: str, within: float = TIMEOUT_S) -> None:
        """Wait until a worker has told its own rhythm."""
        await wait_until_async(
            lambda: self.store.list_workers(now=time.time()),
            within,
            f"{hostname} has sent a heartbeat",
            accept=lambda found: any(w.hostname == hostname and w.freq for w in found),
        )

    async def closed(self, within: float = TIMEOUT_S) -> list[Gap]:
        """Wait until there are gaps and all have ended; return them."""
        return await wait_until_async(
            self.store.list_gaps,
            within,
            "all gaps have ended",
            accept=lambda gaps: gaps and all(gap.state != OPEN for gap in gaps),
        )

    async def image(self, task_id: str) -> TaskView:
        """Return a task."""
        return await self.store.get_task(task_id)


@contextlib.asynccontextmanager
async def truth(
    app: Celery,
    store: Store | None = None,
    *,
    node: str = "m1",
    listen_backend: bool = False,
    lost_after: float = LOST_AFTER,
    probe_every: float = PROBE_INTERVAL_S,
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
        await wait_until_async(
            lambda: monitor.make_view().connected, message="connected"
        )
        yield Truth(kept, monitor)
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


def submit(app: Celery, name: str, *args: object, **options: Any) -> str:
    """Send a task; return its id."""
    sent = cast(Any, app).send_task(name, args, **options)
    return str(sent.id)
