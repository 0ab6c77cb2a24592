"""With the worker outbox nothing is lost: neither events, nor attempts, nor times.

Work of twelve kinds, a third of it without results, goes on while monitors are killed,
the broker's pub/sub connections are cut and the store freezes. In the end each task and
each run is compared with a log that the tasks write themselves.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from celery import Celery

import herald_worker
from herald_core.store.redis.store import RedisStore
from tests.support.celery.outbox_stream import AUTO, OutboxReader
from tests.support.celery.project import environment
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.environment import ROOT
from tests.support.herald.monitor_process import (
    MonitorProcess,
    heard_by,
    image,
    open_store,
)
from tests.support.outbox.trial import Findings, MixedWork, Verdict
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


class Faults(msgspec.Struct, frozen=True):
    """How often a monitor is killed and for how long, and how long the store freezes.

    In seconds; `pause` lies between two tasks, and `rest` between two faults.
    """

    kills: int
    away: float
    frozen: float
    rest: float
    pause: float

    @property
    def seconds(self) -> float:
        """How long all of it takes, and some work after it."""
        return self.kills * (self.away + self.rest) + self.frozen + 2 * self.rest


SHORT = Faults(kills=1, away=3.0, frozen=2.0, rest=1.0, pause=0.05)
LONG = Faults(kills=3, away=10.0, frozen=10.0, rest=5.0, pause=0.03)
FORMS = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, marks=pytest.mark.soak, id="long"),
]
SETTLE_S = 40.0
PUBSUB_CUTS_S = 2.0


@pytest.fixture
def store_server() -> Iterator[PrivateValkey]:
    with private_valkey() as server:
        yield server


@pytest.fixture
def app(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app whose producers and workers write to the outbox on the broker."""
    backend = f"{valkey.url.rpartition('/')[0]}/1"
    made = project_app(valkey.url, backend, result_backend_thread_safe=True)
    herald_worker.install(made)
    return made


@pytest.fixture(autouse=True)
def worker(app: Celery, celery_worker: WorkerFactory) -> Worker:
    return celery_worker(app, events=False, extra=AUTO, concurrency=3)


async def judge(verdict: Verdict, worker: Worker) -> Findings:
    """Wait until Herald shows what the tasks say of themselves.

    Fails with the worker's own error if that has ended: nobody restarts it here.
    """
    try:
        return await verdict.wait(SETTLE_S)
    except AssertionError:
        ended = [line for line in worker.log.read_text().splitlines() if ENDED in line]
        if ended:
            pytest.fail(f"the worker ended of itself: {ended[0]}")
        raise


ENDED = "Unrecoverable error"


@pytest.fixture
def stream(valkey: PrivateValkey) -> Iterator[OutboxReader]:
    reader = OutboxReader(valkey.url)
    yield reader
    reader.close()


def check_told(found: Findings) -> None:
    """Say how many runs are right; assert that the worker told of all."""
    print(f"{found.runs} runs are right, but {len(found.untold)} that nobody told of")
    assert not found.untold


@contextlib.asynccontextmanager
async def cutting_pubsub(server: PrivateValkey) -> AsyncGenerator[None]:
    """Close all pub/sub connections every two seconds, for the length of the block."""

    async def cut() -> None:
        with server.client() as client:
            while True:
                await asyncio.sleep(PUBSUB_CUTS_S)
                kill = cast(Any, client).client_kill_filter
                await asyncio.to_thread(kill, _type="pubsub")

    cutting = asyncio.create_task(cut())
    try:
        yield
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)


async def freeze(server: PrivateValkey, seconds: float) -> None:
    """Let a server stand still for so long."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


async def break_things(
    monitors: Sequence[MonitorProcess], store: PrivateValkey, faults: Faults
) -> None:
    """Kill the monitors in turn, and freeze the store once."""
    for number in range(faults.kills):
        await asyncio.sleep(faults.rest)
        monitor = monitors[number % len(monitors)]
        await asyncio.to_thread(monitor.kill)
        await asyncio.sleep(faults.away)
        monitor.start()
    await asyncio.sleep(faults.rest)
    await freeze(store, faults.frozen)


def make_monitor(
    app: Celery, store: PrivateValkey, tmp_path: Path, node: str
) -> MonitorProcess:
    return MonitorProcess(app, store.url, tmp_path / f"{node}.log", node)


async def check_nothing_lost(store: RedisStore, node: str) -> None:
    """Assert that no entry was lost on the way."""
    shown = await image(store, node)
    assert shown is not None
    assert shown.counters["outbox_lost"] == 0, await store.list_gaps()
    assert shown.counters["outbox_dropped"] == 0


@pytest.mark.parametrize("faults", FORMS)
async def test_every_task_every_attempt_and_its_times_are_right(
    app: Celery,
    worker: Worker,
    stream: OutboxReader,
    valkey: PrivateValkey,
    store_server: PrivateValkey,
    tmp_path: Path,
    faults: Faults,
) -> None:
    monitor = make_monitor(app, store_server, tmp_path, "m1")
    monitor.start()
    journal = tmp_path / "journal"
    work = MixedWork(app, journal)
    try:
        async with open_store(store_server.url) as store:
            await heard_by(store, monitor, 10)
            async with cutting_pubsub(valkey):
                await asyncio.gather(
                    work.run(faults.seconds, faults.pause),
                    break_things([monitor], store_server, faults),
                )
            verdict = Verdict(store, journal, work.ids, stream)
            found = await judge(verdict, worker)
            check_told(found)
            await check_nothing_lost(store, "m1")
    finally:
        monitor.stop()


@pytest.mark.parametrize("faults", FORMS)
async def test_a_flushed_store_is_whole_again_after_a_replay(
    app: Celery,
    worker: Worker,
    stream: OutboxReader,
    valkey: PrivateValkey,
    store_server: PrivateValkey,
    tmp_path: Path,
    faults: Faults,
) -> None:
    monitor = make_monitor(app, store_server, tmp_path, "m1")
    monitor.start()
    journal = tmp_path / "journal"
    work = MixedWork(app, journal)

    async def flush() -> None:
        await asyncio.sleep(faults.seconds / 2)
        with store_server.client() as client:
            await asyncio.to_thread(cast(Any, client).flushall)

    try:
        async with open_store(store_server.url) as store:
            await heard_by(store, monitor, 10)
            async with cutting_pubsub(valkey):
                await asyncio.gather(
                    work.run(faults.seconds, faults.pause),
                    break_things([monitor], store_server, faults),
                    flush(),
                )
            said = await asyncio.to_thread(replay_outbox, app, store_server.url)
            assert "replayed" in said, said
            verdict = Verdict(store, journal, work.ids, stream)
            found = await judge(verdict, worker)
            check_told(found)
    finally:
        monitor.stop()


def replay_outbox(app: Celery, store_url: str) -> str:
    """Run `herald replay --from-outbox`; return what it says."""
    words = ("replay", "--from-outbox", "--store", store_url)
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", *words, "-A", PROJECT],
        env={**os.environ, **environment(app), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=True,
    )
    return done.stderr.decode()


PROJECT = "tests.support.celery.project"


@pytest.mark.parametrize("faults", FORMS)
async def test_two_monitors_share_a_stream_and_one_is_killed(
    app: Celery,
    worker: Worker,
    stream: OutboxReader,
    store_server: PrivateValkey,
    tmp_path: Path,
    faults: Faults,
) -> None:
    both = [make_monitor(app, store_server, tmp_path, f"m{n}") for n in (1, 2)]
    journal = tmp_path / "journal"
    work = MixedWork(app, journal)
    try:
        async with open_store(store_server.url) as store:
            for monitor in both:
                monitor.start()
                await heard_by(store, monitor, 10)
            await asyncio.gather(
                work.run(faults.seconds, faults.pause),
                break_things(both, store_server, faults),
            )
            await send_until_both_read(work, store, both)
            verdict = Verdict(store, journal, work.ids, stream)
            found = await judge(verdict, worker)
            assert not found.untold, "no connection of the worker was cut"
            for monitor in both:
                await check_nothing_lost(store, monitor.node)
    finally:
        for monitor in both:
            monitor.stop()


async def send_until_both_read(
    work: MixedWork, store: RedisStore, monitors: Sequence[MonitorProcess]
) -> None:
    """Go on with the work until this life of each monitor has read entries."""

    async def have_read() -> bool:
        await work.run(0.1, 0.05)
        shares = [await image(store, monitor.node) for monitor in monitors]
        return all(one and one.counters["outbox_entries"] for one in shares)

    for monitor in monitors:
        await heard_by(store, monitor, 30)
    await wait_until_async(have_read, 60, "each of the monitors has read entries")
