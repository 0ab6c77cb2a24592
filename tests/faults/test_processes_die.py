"""Processes of Herald are killed at the worst moment; nobody is told a wrong thing."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.events.event import Event
from herald_core.store.redis.store import RedisStore
from tests.support.celery.project import environment
from tests.support.clients.followers import Follower, following
from tests.support.herald.fault_environment import Room, fault_room
from tests.support.herald.monitor_process import open_store
from tests.support.herald.process import HeraldProcess
from tests.support.herald.reconciling_monitor import Truth
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
HERALDS_HEARTBEAT = 15.0
STORED = 3_000


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """The store."""
    with private_valkey() as server:
        yield server


@asynccontextmanager
async def started(herald: HeraldProcess) -> AsyncGenerator[HeraldProcess]:
    """Run `herald` for the length of the block."""
    await asyncio.to_thread(herald.start)
    try:
        yield herald
    finally:
        await asyncio.to_thread(herald.stop)


def monitor_of(parent: int) -> int | None:
    """Return the process id of the monitor that `herald up` started."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            above = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if above == parent and b"herald_monitor" in words:
            return int(place.name)
    return None


async def test_monitor_is_killed_within_a_batch_and_started_again(
    module_app: Celery,
    keeper: PrivateValkey,
    tmp_path: Path,
) -> None:
    """The store is frozen, so that a batch is on its way when the monitor dies."""
    env = {**environment(module_app), "HERALD_RECONCILE_EVERY": "0.5"}
    words = ("up", "-A", "tests.support.celery.project", "--store", keeper.url)
    herald = HeraldProcess(tmp_path / "herald.log", *words, **cast(Any, env))
    async with started(herald), open_store(keeper.url) as store:
        held = Truth(store, cast(Any, None))
        room = Room(module_app, held, herald.url, heartbeat=HERALDS_HEARTBEAT)
        async with room.at_work():
            first = monitor_of(herald.pid)
            assert first is not None
            assert keeper.pid is not None
            os.kill(keeper.pid, signal.SIGSTOP)
            try:
                await room.traffic.more(20)
                os.kill(first, signal.SIGKILL)
            finally:
                os.kill(keeper.pid, signal.SIGCONT)
            await wait_until_async(
                lambda: monitor_of(herald.pid) not in (None, first), 30, "started again"
            )
            await room.comes_true()
            await room.gaps("no monitor was running")
            assert room.all.resets == room.ended.resets == ["new"]


async def test_server_is_killed_within_a_snapshot_and_the_client_goes_elsewhere(
    module_app: Celery,
    keeper: PrivateValkey,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    """Half a snapshot has no cursor: the other process tells the whole of it."""
    words = ("server", "--store", keeper.url)
    dying = HeraldProcess(tmp_path / "dying.log", *words)
    async with open_store(keeper.url) as store:
        await store_many(store)
    async with started(dying), fault_room(module_app, keeper.url) as room:
        slow = proxy(dying.url)
        slow.drip(4_000_000)
        moving = Follower(f"ws{slow.url.removeprefix('http')}ws")
        room.followers.append(moving)
        async with following(moving):
            await wait_until_async(lambda: moving.journal.items, 30, "the first page")
            moving.url = room.all.url
            os.kill(dying.pid, signal.SIGKILL)
            slow.cut()
            await wait_until_async(lambda: moving.closes, 30, "cut off")
            assert moving.journal.since[0] is None
            assert moving.journal.steps[-1].cursor is None, "within the snapshot"
            await room.comes_true()
        assert moving.journal.since[:2] == [None, None]
        assert moving.resets == ["new", "new"]
        assert room.all.resets == ["new"]


async def store_many(store: RedisStore) -> None:
    """Store so much that no kernel takes a snapshot of it off the server's hands."""
    now = time.time()
    events = [
        Event(
            kind="succeeded",
            task_id=f"old-{n}",
            at=now,
            clock=n + 1,
            host="w@h",
            args="x" * 4_000,
        )
        for n in range(STORED)
    ]
    await store.store(events, now=now)
