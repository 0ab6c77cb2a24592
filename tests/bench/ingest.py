"""Events a second taken in without loss, and CPU an event: Herald beside its peers."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import redis

from herald_core.store.ports import Store
from herald_core.store.redis.store import RedisStore
from herald_core.system.subprocesses import spawn, terminate
from tests.bench.peers import SILENCE
from tests.bench.traffic import SHOP, Shape
from tests.support.environment import ROOT
from tests.support.servers.redis import private_valkey

TICKS = os.sysconf("SC_CLK_TCK")
A_TASK = 4
"""Events."""


@dataclass(frozen=True)
class Cost:
    """What it took to receive some events; `lost` did not arrive."""

    rate: float
    cpu: float
    """µs an event."""
    lost: int = 0
    server: float = 0.0
    """µs an event of the store's server."""


@contextmanager
def broker() -> Generator[str]:
    """Run a broker that disconnects no client, so that slow ones are measured too."""
    with private_valkey() as server:
        with server.client() as client:
            client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        yield server.url


Where: TypeAlias = Callable[[], AbstractContextManager[str]]
"""Makes a broker for a while, and gives its URL."""


class Publisher:
    """A process that has made its messages and waits for the word to publish."""

    def __init__(
        self,
        url: str,
        tasks: int,
        rate: float = 0.0,
        seed: int = 1,
        *,
        live: bool = False,
        shape: Shape = SHOP,
    ) -> None:
        words = [sys.executable, "-m", "tests.bench.publishing", url]
        words += ["--tasks", str(tasks), "--rate", str(rate), "--seed", str(seed)]
        # More than a few seconds of it would not fit into memory.
        words += ["--live"] if live else []
        words += ["--shape", ",".join(map(str, shape))]
        self._process = _piped(words)
        assert _line(self._process) == "ready"

    def go(self) -> None:
        """Begin to publish."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end without an event."""
        self._process.kill()
        self._process.communicate()

    def wait(self) -> float:
        """Return how long it took to publish all, in seconds."""
        took = float(_line(self._process))
        self._process.communicate(timeout=10)
        return took


def peer(kind: str, tasks: int, where: Where = broker) -> Cost:
    """Let a hearer of `kind` (see peers.py) take in a flood."""
    with where() as url:
        publisher = Publisher(url, tasks)
        words = ["-m", "tests.bench.peers", kind, url, str(tasks * A_TASK)]
        hearer = _piped([sys.executable, *words])
        assert _line(hearer) == "ready"
        publisher.go()
        told = json.loads(_line(hearer))
        hearer.communicate(timeout=10)
        publisher.wait()
    heard = int(told["events"])
    cpu = 1e6 * told["cpu"] / max(heard, 1)
    return Cost(heard / told["seconds"], cpu, tasks * A_TASK - heard)


def monitor(
    tasks: int, where: Where = broker, *, writers: int | None = None, floods: int = 2
) -> list[Cost]:
    """Let a real monitor take in floods, one after another; the first warms it up.

    Returns what each of the others took: what it starts when many events come, it
    starts once. `writers` as in its settings.
    """
    with (
        where() as url,
        private_valkey() as stored,
        tempfile.TemporaryDirectory() as place,
        running(url, stored.url, Path(place), writers) as pid,
    ):
        return asyncio.run(taken_in(url, stored.url, pid, tasks, floods))[1:]


async def taken_in(
    url: str,
    stored: str,
    pid: int,
    tasks: int,
    floods: int,
    rate: float = 0.0,
    shape: Shape = SHOP,
) -> list[Cost]:
    """Publish some floods to a monitor that runs; return what each took."""
    store = RedisStore(stored)
    await store.open()
    try:
        await connected(store)
        return [
            await _taken(store, (url, stored), pid, tasks, rate, number + 1, shape)
            for number in range(floods)
        ]
    finally:
        await store.close()


async def _taken(
    store: RedisStore,
    urls: tuple[str, str],
    pid: int,
    tasks: int,
    rate: float,
    seed: int,
    shape: Shape,
) -> Cost:
    """Publish to a monitor that runs, and wait until all is stored.

    `urls` are those of the broker and of the store.
    """
    publisher = await asyncio.to_thread(
        Publisher, urls[0], tasks, rate, seed, shape=shape
    )
    known = await count_final(store)
    with redis.Redis.from_url(urls[1]) as client:
        before, served, begin = (
            cpu_of(pid),
            read_server_cpu_s(client),
            time.perf_counter(),
        )
        publisher.go()
        done = await all_final(store, known + tasks) - known
        took = time.perf_counter() - begin
        used, serving = cpu_of(pid) - before, read_server_cpu_s(client) - served
    await asyncio.to_thread(publisher.wait)
    events = tasks * A_TASK
    lost = A_TASK * (tasks - done)
    return Cost(events / took, 1e6 * used / events, lost, 1e6 * serving / events)


async def connected(store: Store) -> None:
    """Wait until a monitor is connected."""
    begin = time.monotonic()
    while not any(m.connected for m in await store.list_monitors()):
        assert time.monotonic() - begin < 20, "the monitor does not hear anything"
        await asyncio.sleep(0.05)


async def all_final(store: Store, tasks: int) -> int:
    """Wait until all tasks are over; return how many are, if it ends earlier."""
    done, last = 0, time.monotonic()
    while done < tasks and time.monotonic() - last < SILENCE:
        now_done = await count_final(store)
        if now_done > done:
            done, last = now_done, time.monotonic()
        # To look more often would take a fiftieth of what two processors can do.
        await asyncio.sleep(0.05)
    return done


async def count_final(store: Store) -> int:
    """Return how many tasks are over."""
    counts = await store.count_by_state()
    return counts.get("SUCCESS", 0) + counts.get("FAILURE", 0)


@contextmanager
def running(
    url: str, stored: str, place: Path, writers: int | None = None, **more: str
) -> Generator[int]:
    """Run a monitor of the broker at `url`; yields its process id.

    `more` are settings by their names in the environment.
    """
    words = [sys.executable, "-m", "herald_server", "monitor"]
    words += ["--broker", url, "--store", stored, "--log-level", "error"]
    env = _environment() | more
    if writers is not None:
        env["HERALD_WRITERS"] = str(writers)
    process = spawn(words, place / "log", env=env)
    try:
        yield process.pid
    finally:
        terminate(process, 8.0)


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process and its children used (Linux)."""
    return sum(_used(told) for one in family(pid) if (told := _stat(one)))


def family(pid: int) -> list[int]:
    """Return a process and those that it has started (Linux)."""
    others = [int(place.name) for place in Path("/proc").glob("[0-9]*")]
    return [pid, *(one for one in others if (s := _stat(one)) and int(s[1]) == pid)]


def _used(stat: list[str]) -> float:
    return sum(int(ticks) for ticks in stat[11:15]) / TICKS


def _stat(pid: int) -> list[str]:
    """Return what follows the name in a process' `stat`; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def read_server_cpu_s(client: "redis.Redis") -> float:
    """Return the seconds of CPU that a Redis has used."""
    told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _piped(words: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=_environment(),
    )


def _line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    assert line, "the process ended without a word"
    return line
