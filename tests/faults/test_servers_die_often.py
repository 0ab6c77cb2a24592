"""A hundred server processes are killed while they tell a snapshot. Soak."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.store.redis.store import RedisStore
from tests.support import validators
from tests.support.clients.followers import Follower, following
from tests.support.herald.monitor_process import open_store
from tests.support.herald.process import HeraldProcess
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import private_valkey
from tests.support.store.labs import walk
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(1_800)]

LAPS = 100
TASKS = 1_500
DRIP = 3_000_000
"""Bytes a second: a snapshot takes about two seconds."""


async def store(store: RedisStore, kind: str, ids: list[str], clock: int) -> None:
    """Store an event of each task, with long arguments."""
    now = time.time()
    events = [
        Event(kind=kind, task_id=id_, at=now, clock=clock, host="w@h", args="x" * 4_000)
        for id_ in ids
    ]
    await store.store(events, now=now)


@asynccontextmanager
async def writing(kept: RedisStore, random: Random) -> AsyncGenerator[None]:
    """Change some tasks all the time, for the length of the block."""

    async def write() -> None:
        for clock in range(2, 1_000_000):
            ids = [f"t{random.randrange(TASKS)}" for _ in range(3)]
            await store(kept, "retried" if clock % 2 else "started", ids, clock)
            await asyncio.sleep(0.02)

    writer = asyncio.create_task(write())
    try:
        yield
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer


async def started(number: int, url: str, place: Path) -> HeraldProcess:
    """Start one more server process."""
    herald = HeraldProcess(place / f"{number}.log", "server", "--store", url)
    await asyncio.to_thread(herald.start)
    return herald


async def killed_within_a_snapshot(
    dying: HeraldProcess, other: HeraldProcess, slow: Proxy, first: int
) -> Follower:
    """Let a client move to `other` when it has `first` tasks; return it, caught up."""
    follower = Follower(f"ws{slow.url.removeprefix('http')}ws")
    journal = follower.journal
    async with following(follower):
        await wait_until_async(
            lambda: len(journal.items) >= first, 30, "some of the snapshot"
        )
        os.kill(dying.pid, signal.SIGKILL)
        slow.cut()
        follower.url = f"ws{other.url.removeprefix('http')}ws"
        await wait_until_async(lambda: follower.closes, 30, "cut off")
        assert journal.steps[-1].cursor is None, "killed within the snapshot"
        told = len(journal.steps)
        await wait_until_async(
            lambda: journal.cursor and len(journal.steps) > told + 5, 30
        )
    return follower


async def test_a_hundred_times_nothing_is_missed_or_told_twice(
    proxy: Callable[[str], Proxy], tmp_path: Path
) -> None:
    random = Random(4)
    with private_valkey() as valkey:
        async with open_store(valkey.url) as kept:
            await store(kept, "received", [f"t{n}" for n in range(TASKS)], 1)
            dying = await started(0, valkey.url, tmp_path)
            for lap in range(1, LAPS + 1):
                other = await started(lap, valkey.url, tmp_path)
                slow = proxy(dying.url)
                slow.drip(DRIP)
                async with writing(kept, random):
                    first = random.randint(1, TASKS // 2)
                    moved = await killed_within_a_snapshot(dying, other, slow, first)
                await ends_right(moved, other, kept)
                dying.wait(30)
                dying = other
            dying.stop()


async def ends_right(
    follower: Follower, other: HeraldProcess, kept: RedisStore
) -> None:
    """Resume once more, and compare all that it heard with what is stored."""
    journal = follower.journal
    tasks = await walk(kept, Filter())
    revs = {task.id: task.rev or "" for task in tasks}
    async with following(follower):
        await wait_until_async(lambda: journal.items == revs, 30, "it has all")
    validators.kept(journal, final=revs)
    assert follower.resets == ["new", "new"], "the second began anew, and only once"
