"""A monitor with a store in memory, and a backend channel alone, for tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from celery import Celery

from herald_monitor.backend_channel import BackendChannel
from herald_monitor.memory import MemoryStore
from herald_monitor.model.events import Event
from herald_monitor.model.redaction import Redactor
from herald_monitor.model.shape import TaskImage
from herald_monitor.monitor import Monitor


async def until(
    predicate: Callable[[], object], timeout: float = 10.0, message: str = ""
) -> None:
    """Wait for `predicate` to become true; fail after `timeout` seconds."""
    given_up = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < given_up, f"after {timeout} s still not: {message}"
        await asyncio.sleep(0.005)


class Watched:
    """A monitor that runs, and its store."""

    def __init__(self, app: Celery) -> None:
        self.store = MemoryStore()
        self.monitor = Monitor(app, self.store, Redactor(), "monitor-1")
        self.stop = asyncio.Event()

    def count(self, name: str) -> int:
        """Return one of the monitor's counters."""
        return self.monitor.image().counters[name]

    async def becomes(
        self, task_id: str, wanted: Callable[[TaskImage], bool], within: float = 15.0
    ) -> TaskImage:
        """Wait until the task is as `wanted`, and return it."""
        given_up = time.monotonic() + within
        while not wanted(image := await self.store.task(task_id)):
            assert time.monotonic() < given_up, f"{task_id} is still {image}"
            await asyncio.sleep(0.01)
        return image

    async def is_in(self, task_id: str, state: str) -> TaskImage:
        """Wait until the task is in `state`."""
        return await self.becomes(task_id, lambda image: image.state == state)


@contextlib.asynccontextmanager
async def watching(app: Celery) -> AsyncGenerator[Watched]:
    """Run a monitor for the length of the block, from when it hears everything."""
    watched = Watched(app)
    await watched.store.open()
    running = asyncio.create_task(watched.monitor.run(watched.stop))
    try:
        await until(lambda: watched.monitor.image().connected, message="connected")
        await until(lambda: watched.monitor.listens, message="listening")
        yield watched
    finally:
        watched.stop.set()
        await asyncio.wait_for(running, 5)


class Told:
    """A backend channel that runs, and all that it told."""

    def __init__(self, app: Celery, probe_every: float) -> None:
        self.app = app
        self.events: list[Event] = []
        self.gaps: list[tuple[float, float, str]] = []
        self.poison: list[tuple[bytes, str]] = []
        self.channel = BackendChannel(
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

    async def connected(self, timeout: float = 10.0) -> None:
        """Wait until the channel hears."""
        await until(lambda: self.channel.connected, timeout, "connected")


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


async def prompt(job: Awaitable[Any], within: float = 0.5) -> None:
    """Fail if `job` takes longer than `within` seconds."""
    await asyncio.wait_for(job, within)
