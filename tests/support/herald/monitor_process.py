"""Monitors as processes of their own, and what they stored, for tests."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from pathlib import Path
from typing import Any, cast

from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.ports import Store
from herald_core.store.redis.store import RedisStore
from herald_core.system.subprocesses import kill_group, spawn, terminate
from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.project import environment
from tests.support.environment import ROOT
from tests.support.wait import wait_until, wait_until_async


class MonitorProcess:
    """`python -m herald_monitor` for the app of `support/celery/project.py`."""

    def __init__(
        self, app: Celery, store_url: str, log: Path, node: str, **env: str
    ) -> None:
        self.node = node
        self.log = log
        self.began = 0.0
        self._env = {
            **os.environ,
            **environment(app),
            "PYTHONPATH": str(ROOT),
            "HERALD_APP": "tests.support.celery.project",
            "HERALD_STORE_URL": store_url,
            "HERALD_NODE": node,
            **env,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may take a second to hear anything."""
        words = [sys.executable, "-m", "herald_monitor"]
        self.began = time.time() - 0.002  # times are shown in milliseconds
        self._process = spawn(words, self.log, env=self._env)

    def kill(self) -> None:
        """Kill it as the kernel would, without a goodbye."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        wait_until(lambda: not self.alive, 30, "it is dead")

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Hold it up for the block, as a host that has no time for it."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> bool:
        """Send SIGTERM; say whether it went by itself."""
        if self._process is None:
            return True
        went = terminate(self._process, 20.0)
        kill_group(self._process)
        return went

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None


@contextlib.asynccontextmanager
async def open_store(url: str) -> AsyncGenerator[RedisStore, None]:
    """Open the store at `url` for the length of the block."""
    store = RedisStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def image(store: RedisStore, node: str) -> MonitorView | None:
    """Return what the monitor `node` said of itself, if it lives."""
    found = [one for one in await store.list_monitors() if one.id == node]
    return found[0] if found else None


async def heard_by(store: RedisStore, process: MonitorProcess, within: float) -> None:
    """Wait until this life of a monitor hears the broker."""

    async def hears() -> bool:
        assert process.alive, process.log.read_text()[-3000:]
        now = await image(store, process.node)
        return (
            now is not None
            and now.connected
            and from_rfc3339(now.started_at) > process.began
        )

    await wait_until_async(hears, within, f"{process.node} hears; see {process.log}")


async def all_final(
    store: RedisStore, ids: Iterable[str], within: float
) -> list[TaskView]:
    """Wait until each of `ids` is final in the store, and return them."""
    wanted = list(ids)
    found: list[TaskView | None] = []

    async def done() -> bool:
        nonlocal found
        found = await store.get_tasks(wanted)
        return all(task is not None and task.final for task in found)

    try:
        await wait_until_async(done, within, "all are final")
    except AssertionError:
        states = [task.state if task else "-" for task in found]
        counted = {state: states.count(state) for state in set(states)}
        raise AssertionError(f"after {within} s: {counted}") from None
    return [task for task in found if task is not None]


SOON = {"lost_after": 1.0, "reconcile_every": 0.5}
"""A monitor with these looks around twice a second, and soon concludes something."""


@contextlib.asynccontextmanager
async def monitoring(
    app: Celery, store: Store, **settings: float
) -> AsyncGenerator[Monitor, None]:
    """Run a monitor in this process for the length of the block, once it hears."""
    monitor = Monitor(app, store, Redactor(), "here", **cast(Any, settings))
    stop = asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))

    async def connected() -> bool:
        return monitor.make_view().connected

    try:
        await wait_until_async(connected, 30, "the monitor hears")
        yield monitor
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)
