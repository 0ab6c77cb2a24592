"""Many watchers of one server process: how late their frames are, and what each costs.

Everything of it – broker, monitor, store, server and all the clients – shares two
cores, so that a busy machine does not flatter. The clients are tests/bench/watchers.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import msgspec

from herald_core.model.events.event import Event
from herald_core.store.redis.store import RedisStore
from herald_core.system.subprocesses import spawn, terminate
from tests.bench.ingest import broker, cpu_of
from tests.bench.traffic import SPREAD
from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey

CORES = 2
RATE = 500.0
"""Changes a second."""

ONE_RATE = 200.0


class WatchCost(msgspec.Struct):
    """What many watchers received, and what that cost the server."""

    changes: int
    frames: int
    bytes: int
    late: dict[str, float]
    """p50, p90, p99 and max, in ms from an event to the frame with its change."""
    complaints: list[str]
    complained: int
    closes: dict[str, int]
    resets: dict[str, int]
    cpu: float
    """Seconds of CPU of the watchers."""
    server: float = 0.0
    """Seconds of CPU of the server."""
    events: int = 0
    seconds: float = 0.0
    grown: float = 0.0
    """KB of resident memory of the server, a watcher."""

    @property
    def each(self) -> float:
        """µs of the server's CPU a delivered change."""
        return 1e6 * self.server / max(self.changes, 1)

    @property
    def wrong(self) -> str:
        """What is not as it should be, or nothing."""
        said = self.complaints[:2] if self.complained else []
        closes = f"closed: {self.closes}" if self.closes else ""
        return "; ".join([*said, *([closes] if closes else [])])


@contextlib.contextmanager
def two_cores() -> Generator[None]:
    """Let this process, and all that it starts, use two cores only (Linux)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[-CORES:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Place:
    """A broker, a monitor, a store and one server process."""

    def __init__(self, events: str, store: str, server: HeraldProcess) -> None:
        self.events = events
        self.store = store
        self.server = server

    def tell(
        self, number: int, kind: str, rate: float, seconds: float, **more: Any
    ) -> WatchCost:
        """Connect `number` watchers of `kind` and publish for so many seconds."""
        with self.crowd(number, kind, **more) as crowd:
            tasks = max(int(rate * seconds / 4), 1)
            used, begun = cpu_of(self.server.pid), time.monotonic()
            self.publish(tasks, rate)
            took = time.monotonic() - begun
            told = crowd.told()
            told.server = cpu_of(self.server.pid) - used
            told.seconds, told.events = took, 4 * tasks
            return told

    def active(self, number: int) -> None:
        """Let there be `number` tasks that run."""
        asyncio.run(_run(self.store, [f"active-{n}" for n in range(number)]))

    def told_of_one(self, changes: int) -> WatchCost:
        """Change one task so many times, for the one who watches it."""
        with self.crowd(1, "one id") as crowd:
            used, begun = cpu_of(self.server.pid), time.monotonic()
            asyncio.run(_retried(self.store, "the-one", changes))
            took = time.monotonic() - begun
            told = crowd.told()
            told.server = cpu_of(self.server.pid) - used
            told.seconds, told.events = took, changes
            return told

    def publish(self, tasks: int, rate: float) -> None:
        """Publish the lives of so many tasks, at `rate` events a second."""
        words = ["-m", "tests.bench.publishing", self.events, "--spread"]
        words += ["--tasks", str(tasks), "--rate", str(rate)]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True)

    @contextlib.contextmanager
    def crowd(
        self,
        number: int,
        kind: str,
        checked: int = 1,
        deaf: int = 0,
        names: int = SPREAD,
    ) -> "Generator[WatcherProcess]":
        """Have `number` watchers for the length of the block.

        `deaf` more watch everything and read nothing.
        """
        ws = f"ws{self.server.url.removeprefix('http')}ws"
        words = ["-m", "tests.bench.watchers", ws, self.store]
        words += ["--number", str(number), "--kind", kind, "--checked", str(checked)]
        words += ["--deaf", str(deaf), "--names", str(names)]
        before = resident(self.server.pid)
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        crowd = WatcherProcess(process, number, self.server.pid, before)
        try:
            yield crowd
        finally:
            process.kill()
            process.communicate()


class WatcherProcess:
    """Watchers in a process of their own, all of which have their snapshots."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        number: int,
        server: int,
        before: float,
    ) -> None:
        self._process = process
        self._number = number
        self._server = server
        self._before = before
        assert self._line() == b"ready\n", "the watchers did not come in"

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def told(self) -> WatchCost:
        """Return what they received, once each has what the store has."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        told = msgspec.json.decode(self._line(), type=WatchCost)
        told.grown = (resident(self._server) - self._before) / self._number
        return told


async def _run(url: str, ids: list[str]) -> None:
    store = RedisStore(url)
    await store.open()
    for at in range(0, len(ids), 500):
        now = time.time()
        some = [
            Event(kind="started", task_id=id_, at=now, host="celery@w", pid=7)
            for id_ in ids[at : at + 500]
        ]
        await store.store(some, now=now)
    await store.close()


async def _retried(url: str, task_id: str, times: int) -> None:
    """Start and retry a task in turns, 200 times a second."""
    store = RedisStore(url)
    await store.open()
    begun = time.monotonic()
    for lap in range(times):
        await asyncio.sleep(max(begun + lap / ONE_RATE - time.monotonic(), 0))
        now = time.time()
        kind = "retried" if lap % 2 else "started"
        fields = {"host": "celery@w", "pid": 7, "clock": lap + 1}
        event = Event(kind=kind, task_id=task_id, at=now, **cast(Any, fields))
        await store.store([event], now=now)
    await store.close()


def resident(pid: int) -> float:
    """Return the KB of memory that a process holds (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    raise AssertionError("no VmRSS")


@contextlib.contextmanager
def place() -> Generator[Place]:
    """Start all of it, on two cores."""
    with (
        two_cores(),
        broker() as events,
        private_valkey() as stored,
        tempfile.TemporaryDirectory() as scratch,
    ):
        words = [sys.executable, "-m", "herald_server", "monitor"]
        words += ["--broker", events, "--store", stored.url, "--log-level", "error"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "HERALD_TOKEN": TOKEN}
        monitor = spawn(words, Path(scratch) / "monitor.log", env=env)
        server = HeraldProcess(
            Path(scratch) / "server.log",
            *("server", "--store", stored.url, "--log-level", "error"),
        )
        try:
            server.start()
            yield Place(events, stored.url, server)
        finally:
            server.stop()
            terminate(monitor, 8.0)
