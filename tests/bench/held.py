"""A rate that is held: `python -m tests.bench.held [--rate R] [--seconds S]`.

Publishes at a rate to a broker with Redis' own limits, and tells how much of its
output buffer the broker ever filled for the monitor, what was lost, and what the
monitor took of CPU and of memory. A rate that is far below the most is a soak:
`--rate 4000 --seconds 300` shows whether memory stays flat.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis

from herald_core.store.redis.store import RedisStore
from tests.bench.ingest import (
    A_TASK,
    Publisher,
    all_final,
    connected,
    cpu_of,
    family,
    running,
)
from tests.support.servers.redis import private_valkey

LIMIT = 32 * 1024 * 1024
"""Bytes of a subscriber's output buffer at which Redis cuts it off."""

PUBLISHERS = 15_000
"""Events a second of one publishing process."""


@dataclass
class Held:
    """What it took. `buffer` is the most that waited in the broker, in bytes."""

    rate: float = 0.0
    lost: int = 0
    cpu: float = 0.0
    """µs of the monitor's CPU an event."""
    server: float = 0.0
    buffer: int = 0
    behind: int = 0
    """The most events that waited in the monitor."""
    memory: list[float] = field(default_factory=list[float])
    """MB that the monitor took, once a second."""


def held(rate: float, seconds: float) -> Held:
    """Publish at `rate` for some `seconds`; return when all is stored or lost."""
    with (
        private_valkey() as broker,
        private_valkey() as stored,
        tempfile.TemporaryDirectory() as place,
        running(broker.url, stored.url, Path(place)) as pid,
    ):
        return asyncio.run(_held(broker.url, stored.url, pid, rate, seconds))


async def _held(url: str, stored: str, pid: int, rate: float, seconds: float) -> Held:
    told, store = Held(), RedisStore(stored)
    number = max(round(rate / PUBLISHERS + 0.49), 1)
    tasks = int(rate * seconds / A_TASK / number)
    await store.open()
    watching = asyncio.create_task(_watch(told, url, store, pid))
    try:
        await connected(store)
        publishers = [
            await asyncio.to_thread(
                Publisher, url, tasks, rate / number, seed, live=True
            )
            for seed in range(1, number + 1)
        ]
        with redis.Redis.from_url(stored) as client:
            before, served, begin = cpu_of(pid), used_by(client), time.perf_counter()
            for publisher in publishers:
                publisher.go()
            done = await all_final(store, tasks * number)
            took = time.perf_counter() - begin
            events = tasks * number * A_TASK
            told.cpu = 1e6 * (cpu_of(pid) - before) / events
            told.server = 1e6 * (used_by(client) - served) / events
        for publisher in publishers:
            await asyncio.to_thread(publisher.wait)
        told.rate, told.lost = events / took, events - done * A_TASK
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await store.close()
    return told


def used_by(client: "redis.Redis") -> float:
    """Return the seconds of CPU that a server has used."""
    about = client.info("cpu")
    return float(about["used_cpu_user"]) + float(about["used_cpu_sys"])


async def _watch(told: Held, url: str, store: RedisStore, pid: int) -> None:
    """Note the most that ever waited, and memory, until cancelled."""
    with redis.Redis.from_url(url) as client:
        for turn in range(1_000_000):
            lines = await asyncio.to_thread(cast(Any, client).client_list, "pubsub")
            waits = max([int(line["omem"]) for line in lines], default=0)
            told.buffer = max(told.buffer, waits)
            if turn % 20 == 0:
                told.memory.append(memory_of(pid))
                monitors = await store.list_monitors()
                told.behind = max([told.behind, *(m.waiting for m in monitors)])
            await asyncio.sleep(0.05)


def memory_of(pid: int) -> float:
    """Return the MB of memory that a process and its children hold (Linux)."""
    told = [Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    return sum(int(one.partition("VmRSS:")[2].split()[0]) for one in told) / 1024


def flat(memory: list[float]) -> float:
    """Return by how many MB the last quarter is above the second."""
    quarter = max(len(memory) // 4, 1)
    return max(memory[-quarter:]) - max(memory[quarter : 2 * quarter])


def figures(told: Held) -> str:
    """Return one line about it."""
    lost = f"LOST {told.lost}" if told.lost else "nothing lost"
    return (
        f"{told.rate:.0f}/s, {lost}; buffer at most {told.buffer / LIMIT:.0%} of its"
        f" limit; {told.cpu:.1f} + {told.server:.1f} µs CPU an event;"
        f" {told.behind} behind at most; {max(told.memory):.0f} MB,"
        f" {flat(told.memory):+.0f} MB in the end"
    )


def main() -> None:
    """Hold what the command line asks for, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=45_000.0)
    parser.add_argument("--seconds", type=float, default=75.0)
    given = parser.parse_args()
    print(f"{given.rate:.0f}/s for {given.seconds:.0f} s:", end=" ", flush=True)
    print(figures(held(given.rate, given.seconds)))


if __name__ == "__main__":
    main()
