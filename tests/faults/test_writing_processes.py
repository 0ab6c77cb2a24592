"""More events than one process can merge, and processes killed among them."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from herald_core.store.redis.store import RedisStore
from tests.bench.ingest import Publisher, all_final, broker, connected, family, running
from tests.support.servers.redis import private_valkey
from tests.support.store.labs import all_changes
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio
TASKS = 12_000
"""Of a flood: twelve full batches of their events, of which four call for help."""


class Flooded:
    """A monitor with help, behind it the first of some `floods`."""

    def __init__(self, url: str, store: RedisStore, pid: int, floods: int) -> None:
        self.store, self.pid = store, pid
        # Made before the first begins: help that is not needed goes home soon.
        seeds = range(floods, 0, -1)
        self._publishers = [Publisher(url, TASKS, 0.0, seed) for seed in seeds]

    @property
    def helpers(self) -> list[int]:
        """Return the ids of the writing processes."""
        return [one for one in family(self.pid)[1:] if writes(one)]

    async def flood(self) -> None:
        """Let all come at once, however busy the machine is that publishes it."""
        publisher = self._publishers.pop()
        os.kill(self.pid, signal.SIGSTOP)
        try:
            publisher.go()
            await asyncio.to_thread(publisher.wait)
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End whoever has not published."""
        for publisher in self._publishers:
            publisher.end()

    async def stored(self, floods: int) -> None:
        """Wait until the tasks of so many floods are over."""
        assert await all_final(self.store, floods * TASKS) == floods * TASKS


def writes(pid: int) -> bool:
    """Say whether a process is a writing process, and runs."""
    try:
        place = Path(f"/proc/{pid}")
        words = (place / "cmdline").read_bytes()
        state = (place / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return b"herald_monitor.ingest.writers.process" in words and state != "Z"


@asynccontextmanager
async def flooded(floods: int = 1) -> AsyncGenerator[Flooded]:
    """Run a monitor, and flood it until it has help; `floods` counts that one."""
    with (
        broker() as url,
        private_valkey() as stored,
        tempfile.TemporaryDirectory() as place,
        running(url, stored.url, Path(place)) as pid,
    ):
        store = RedisStore(stored.url, log_length=1_000_000)
        await store.open()
        try:
            await connected(store)
            house = await asyncio.to_thread(Flooded, url, store, pid, floods)
            await house.flood()
            await wait_until_async(lambda: house.helpers, 30, "help has come")
            await house.stored(1)
            try:
                yield house
            finally:
                house.close()
        finally:
            await store.close()


async def test_one_of_them_is_killed_and_nothing_is_lost() -> None:
    async with flooded(2) as house:
        await house.flood()
        os.kill(house.helpers[0], signal.SIGKILL)
        await house.stored(2)
        [monitor] = await house.store.list_monitors()
        counted = {k: monitor.counters[k] for k in ("dropped", "poison", "missing")}
        assert counted == {"dropped": 0, "poison": 0, "missing": 0}
        assert await house.store.list_gaps() == []
        # Each change once, in a log without a hole: that is looked at on the way.
        places = [change.place async for change in all_changes(house.store)]
        assert len(set(places)) == len(places) >= 2 * TASKS


async def test_a_monitor_says_how_many_help_it() -> None:
    async with flooded() as house:
        number = len(house.helpers)
        await wait_until_async(
            house.store.list_monitors,
            accept=lambda found: [m.writers for m in found] == [number],
        )


async def test_none_outlives_its_monitor() -> None:
    async with flooded() as house:
        helpers = house.helpers
        os.kill(house.pid, signal.SIGKILL)
        await wait_until_async(
            lambda: not any(map(writes, helpers)), 30, "they have ended"
        )


async def test_they_end_with_a_monitor_that_is_stopped() -> None:
    """After they have stored what it had given them."""
    async with flooded(2) as house:
        helpers = house.helpers
        await house.flood()
        os.kill(house.pid, signal.SIGTERM)
        await wait_until_async(
            lambda: not any(map(writes, helpers)), 30, "they have ended"
        )
        tasks = await house.store.count_by_state()
        changes = [change async for change in all_changes(house.store)]
        assert len({change.id for change in changes if change.kind == "t"}) == sum(
            tasks.values()
        )
