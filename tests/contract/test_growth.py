"""What the store does for one task does not grow with the number of all.

By counts of Redis' commands: clocks say little on a busy machine.
"""

import time
from typing import Any, cast

import pytest

from herald_core.model.rollups.counter_delta import CounterRules
from herald_core.store.redis.bitmaps import CHUNK_BITS
from herald_core.store.redis.task_counters import MAX_SCRIPT_ROWS
from tests.support.herald.memory_server import worker_of
from tests.support.store.labs import NOW, Lab, event

pytestmark = pytest.mark.anyio


class CommandCounts:
    """The commands that a server has executed, also in scripts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before = self._read()

    def _read(self) -> dict[str, int]:
        with self._lab.client() as client:
            told = cast(dict[str, dict[str, Any]], client.info("commandstats"))
        return {
            name.removeprefix("cmdstat_"): int(one["calls"])
            for name, one in told.items()
        }

    def count(self, command: str) -> int:
        """Return how many were executed since this was made."""
        return self._read().get(command, 0) - self._before.get(command, 0)


async def test_the_last_task_of_a_name_in_a_chunk_is_no_reason_to_look_at_all(
    own_lab: Lab,
) -> None:
    """It once was: sweeping n tasks read the list of n / 4096 chunks n / 4096 times."""
    names = [f"n{number}" for number in range(3)]
    early = [
        event("received", f"a{n}", name=names[n % 3], host="w", queue="q")
        for n in range(CHUNK_BITS)
    ]
    late = [
        event("received", f"b{n}", 60, name=names[n % 3], host="w", queue="q")
        for n in range(30)
    ]
    async with own_lab.open(retention=60, keep_unfinished=60) as store:
        await store.store(early, now=NOW)
        await store.store(late, now=NOW + 50)
        counts = CommandCounts(own_lab)
        assert await store.expire_tasks(now=NOW + 70, limit=CHUNK_BITS) == CHUNK_BITS
        assert counts.count("hkeys") == 0
        with own_lab.client() as client:
            assert client.zcard(f"{own_lab.prefix}:v:name") == 3
            assert await store.expire_tasks(now=NOW + 200) == 30
            assert client.zcard(f"{own_lab.prefix}:v:name") == 0
            assert client.zcard(f"{own_lab.prefix}:v:worker") == 0


async def test_a_value_far_away_keeps_its_index(own_lab: Lab) -> None:
    """The tasks between are of other names."""
    async with own_lab.open(retention=60, keep_unfinished=60) as store:
        await store.store([event("received", "first", name="rare")], now=NOW)
        with own_lab.client() as client:
            client.incrby(f"{own_lab.prefix}:seq", 100 * CHUNK_BITS)
            await store.store(
                [event("received", "last", 50, name="rare")], now=NOW + 50
            )
            assert await store.expire_tasks(now=NOW + 70) == 1
            assert client.zcard(f"{own_lab.prefix}:v:name") == 1


async def test_a_sweep_of_tasks_does_not_read_all_workers_at_each_step(
    own_lab: Lab,
) -> None:
    """It once did: under load twenty times a second, however many there are."""
    now = time.time()
    events = [event("received", f"t{n}", at=now) for n in range(500)]
    workers = [worker_of(f"w{n}@h") for n in range(300)]
    async with own_lab.open(retention=60, keep_unfinished=60) as store:
        await store.store(events, workers, now=now)
        counts = CommandCounts(own_lab)
        steps = 0
        while await store.expire_tasks(now=now + 70, limit=50):
            steps += 1
        assert steps >= 10
        # Workers are read 250 at a time; tasks of one step may lie in two segments.
        assert counts.count("mget") <= 2 + 2 * steps


async def test_series_beyond_the_bound_are_added_together(own_lab: Lab) -> None:
    """A flood of invented names once read and wrote the row of all others for each."""
    number = 2 * MAX_SCRIPT_ROWS
    events = [event("received", f"t{n}", name=f"n{n}") for n in range(number)]
    async with own_lab.open(counters=CounterRules(max_series=5)) as store:
        await store.store(events, now=NOW)
        counts = CommandCounts(own_lab)
        found = await store.read_task_counters()
        assert counts.count("hget") + counts.count("hset") <= 8
        assert counts.count("evalsha") + counts.count("eval") <= 4
        assert len(found) == 6
        [other] = [one for one in found if one.is_other]
        assert other.events == {"received": number - 5}
