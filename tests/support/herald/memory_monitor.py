"""A monitor with a store in memory, and a backend channel alone, for tests."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from celery import Celery

from herald_core.model.events.event import Event
from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.backend.listener import ResultListener
from herald_monitor.ingest.outbox.options import OutboxOptions
from herald_monitor.runtime.monitor import Monitor
from herald_worker.outbox.installation import is_installed
from tests.support.wait import TIMEOUT_S, wait_until_async


class Watched:
    """A monitor that runs, and its store. It reads the outbox if the app has one."""

    def __init__(self, app: Celery) -> None:
        self.store = MemoryStore()
        outbox = OutboxOptions() if is_installed(app) else None
        self.monitor = Monitor(app, self.store, Redactor(), "monitor-1", outbox=outbox)
        self.stop = asyncio.Event()

    def count(self, name: str) -> int:
        """Return one of the monitor's counters."""
        return self.monitor.make_view().counters[name]

    async def becomes(
        self,
        task_id: str,
        wanted: Callable[[TaskView], bool],
        within: float = TIMEOUT_S,
    ) -> TaskView:
        """Wait until the task is as `wanted`, and return it."""
        return await wait_until_async(
            lambda: self.store.get_task(task_id),
            within,
            f"{task_id} is so",
            accept=wanted,
        )

    async def is_in(self, task_id: str, state: str) -> TaskView:
        """Wait until the task is in `state`."""
        return await self.becomes(task_id, lambda image: image.state == state)


@contextlib.asynccontextmanager
async def watching(app: Celery) -> AsyncGenerator[Watched]:
    """Run a monitor for the length of the block, from when it hears everything."""
    watched = Watched(app)
    await watched.store.open()
    running = asyncio.create_task(watched.monitor.run(watched.stop))
    try:
        await wait_until_async(
            lambda: watched.monitor.make_view().connected, message="connected"
        )
        await wait_until_async(
            lambda: watched.monitor.listens_to_results, message="listening"
        )
        yield watched
    finally:
        watched.stop.set()
        await asyncio.wait_for(running, 30)


class Told:
    """A backend channel that runs, and all that it told."""

    def __init__(self, app: Celery, probe_every: float) -> None:
        self.app = app
        self.events: list[Event] = []
        self.gaps: list[tuple[float, float, str]] = []
        self.poison: list[tuple[bytes, str]] = []
        self.channel = ResultListener(
            app,
            deliver=self.events.extend,
            lost_touch=lambda since, until, why: self.gaps.append((since, until, why)),
            poison=lambda body, reason: self.poison.append((body, reason)),
            redact=Redactor(),
            probe_every=probe_every,
        )

    def kinds(self, task_id: str) -> list[str]:
        """Return the kinds of events of one task, in order."""
        return [event.kind for event in self.events if event.task_id == task_id]

    async def connected(self, timeout: float = TIMEOUT_S) -> None:
        """Wait until the channel hears."""
        await wait_until_async(lambda: self.channel.connected, timeout, "connected")


@contextlib.asynccontextmanager
async def told(app: Celery, probe_every: float = 5.0) -> AsyncGenerator[Told]:
    """Run a channel for the length of the block, from when it hears."""
    here = Told(app, probe_every)
    here.channel.start()
    try:
        await here.connected()
        yield here
    finally:
        await prompt(here.channel.stop())


async def prompt(job: Awaitable[Any], within: float = 5.0) -> None:
    """Fail if `job` takes longer than `within` seconds."""
    await asyncio.wait_for(job, within)
