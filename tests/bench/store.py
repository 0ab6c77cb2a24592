"""Measure the store on an embedded Valkey: `python -m tests.bench.store`.

Prints what a batch costs to store, what a task costs to keep, and how long
reads take. Options: --tasks N (100,000), --redis URL instead of the embedded
server (its keys under `{herald-bench}` are deleted), --profile for the writer.
"""

import argparse
import asyncio
import cProfile
import pstats
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.store.redis.store import RedisStore
from tests.bench.traffic import NAMES, SHOP, Shape
from tests.support.servers.redis import private_valkey

PREFIX = "{herald-bench}"
BATCH = 200
KEYS = ("customer", "order", "note", "email", "items", "amount", "token", "region")


def text(random: Random, size: int) -> str:
    """Return a `repr` of that many characters, of random keys, numbers and letters."""
    told: list[str] = []
    while sum(map(len, told)) < size:
        key, value = random.choice(KEYS), random.getrandbits(32)
        shown = f"'{value:x}'" if value % 2 else str(value % 100_000)
        told.append(f"'{key}': {shown}, ")
    return "{" + "".join(told)[: size - 2] + "}"


def life(number: int, random: Random, at: float, shape: Shape = SHOP) -> list[Event]:
    """Return the four events of a task, as `parse` makes them."""
    id_ = str(UUID(int=random.getrandbits(128), version=4))
    worker = shape.worker(number)
    host = f"celery@worker-{worker}"
    common: dict[str, Any] = {"task_id": id_, "host": host, "pid": 1000 + worker}
    told: dict[str, Any] = {
        "name": shape.name(number),
        "args": text(random, 200),
        "kwargs": "{}",
        "root_id": id_,
        "retries": 0,
    }
    clock = 4 * number
    failed = number % 20 == 0
    end: dict[str, Any] = (
        {"kind": "failed", "exception": "ValueError('no such customer')"}
        if failed
        else {"kind": "succeeded", "result": text(random, 100), "runtime": 0.1234}
    )
    sent = {**common, "host": "client", "pid": 9, "queue": shape.queue(number)}
    return [
        Event(kind="sent", at=at, clock=clock, **sent, **told),
        Event(kind="received", at=at + 0.01, clock=clock + 1, **common, **told),
        Event(kind="started", at=at + 0.02, clock=clock + 2, **common),
        Event(at=at + 0.15, clock=clock + 3, **common, **end),
    ]


def stream(tasks: int, spread: bool, begin: float) -> Iterator[list[Event]]:
    """Yield batches: each task's events together, or none two in one batch."""
    random = Random(1)
    events: list[Event] = []
    step = BATCH if spread else BATCH // 4
    for first in range(0, tasks, step):
        lives = [
            life(first + n, random, begin + (first + n) / 1e4) for n in range(step)
        ]
        order = zip(*lives, strict=True) if spread else lives
        events = [event for group in order for event in group]
        for at in range(0, len(events), BATCH):
            yield events[at : at + BATCH]


async def write(store: RedisStore, tasks: int, spread: bool) -> dict[str, float]:
    """Store the stream; return events/s and µs of our CPU, of all, per event."""
    begin = time.time()
    batches = list(stream(tasks, spread, begin))
    events = sum(map(len, batches))
    longest: list[float] = []
    server = await server_cpu(store)
    cpu, wall = time.process_time(), time.perf_counter()
    for batch in batches:
        at = time.perf_counter()
        await store.store(batch, now=time.time())
        longest.append(time.perf_counter() - at)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    longest.sort()
    return {
        "events/s": events / wall,
        "our CPU, µs an event": 1e6 * cpu / events,
        "server's CPU, µs an event": 1e6 * (await server_cpu(store) - server) / events,
        "batch p99 ms": 1e3 * longest[int(0.99 * len(longest))],
    }


async def timed(read: Callable[[], Awaitable[object]], times: int = 200) -> str:
    """Return p50 and p99 of `read` in ms."""
    took: list[float] = []
    for _ in range(times):
        at = time.perf_counter()
        await read()
        took.append(1e3 * (time.perf_counter() - at))
    took.sort()
    return (
        f"p50 {statistics.median(took):6.2f} ms   p99 {took[int(0.99 * times)]:6.2f} ms"
    )


async def reads(store: RedisStore) -> None:
    """Print how long reads take."""
    newest = (await store.list_tasks(Filter(), limit=100)).tasks
    middle = (await store.list_tasks(Filter(state=("SUCCESS",)))).next
    filters = {
        "page of 100, all": Filter(),
        "page of 100, one state": Filter(state=("SUCCESS",)),
        "page of 100, failed": Filter(state=("FAILURE",)),
        "page of 100, name glob": Filter(name=("shop.mail.*",)),
        "page of 100, name and state": Filter(name=(NAMES[0],), state=("FAILURE",)),
        "page, name and state, none": Filter(name=(NAMES[1],), state=("FAILURE",)),
        "page of 100, worker": Filter(worker=("celery@worker-3",)),
        "page of 100, 100 ids": Filter(ids=tuple(t.id for t in newest)),
    }
    for what, filter_ in filters.items():
        print(f"  {what:32}", await timed(lambda f=filter_: store.list_tasks(f), 100))  # type: ignore[misc]
    print(
        f"  {'second page':32}",
        await timed(lambda: store.list_tasks(Filter(), page=middle)),
    )
    print(f"  {'task':32}", await timed(lambda: store.get_task(newest[7].id), 1000))
    print(f"  {'counts':32}", await timed(store.count_by_state))
    print(f"  {'count, name and state':32}", end=" ")
    both = Filter(name=(NAMES[0],), state=("FAILURE",))
    print(await timed(lambda: store.count_tasks(both, 10_000)))


async def execute(store: RedisStore, *words: str | bytes | int) -> Any:
    """Return the reply to a command of the store's server."""
    return await store._client.execute(*words)  # pyright: ignore[reportPrivateUsage]


async def used(store: RedisStore, prefix: str = PREFIX) -> dict[str, int]:
    """Return the bytes that Redis uses, and those of the log."""
    told = (await execute(store, "INFO", "memory")).decode()
    memory = int(told.split("used_memory:")[1].split()[0])
    log = await execute(store, "MEMORY", "USAGE", f"{prefix}:log", "SAMPLES", 0)
    return {"all": memory, "log": int(log or 0)}


async def server_cpu(store: RedisStore) -> float:
    """Return the seconds of CPU that the server has used."""
    told = (await execute(store, "INFO", "cpu")).decode().splitlines()
    used = dict(line.split(":") for line in told if ":" in line)
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


async def clear(store: RedisStore) -> None:
    """Delete all keys of the bench."""
    cursor = b"0"
    while True:
        cursor, keys = await execute(
            store, "SCAN", cursor, "MATCH", f"{PREFIX}*", "COUNT", 5000
        )
        if keys:
            await execute(store, "UNLINK", *keys)
        if cursor == b"0":
            return


async def bench(url: str, tasks: int, profile: bool) -> None:
    """Run all and print it."""
    for spread in (True, False):
        store = RedisStore(url, prefix=PREFIX)
        await store.open()
        await clear(store)
        empty = (await used(store))["all"]
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        told = await write(store, tasks, spread)
        profiler.disable()
        full = await used(store)
        print(f"{tasks} tasks, {'one event' if spread else 'four events'} a batch each")
        for what, value in told.items():
            print(f"  {what:32} {value:10.1f}")
        kept = (full["all"] - empty - full["log"]) / tasks
        print(f"  {'B a task, without the log':32} {kept:10.1f}")
        print(f"  {'log, MB':32} {full['log'] / 1e6:10.1f}")
        if profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(28)
        if not spread:
            await reads(store)
        await clear(store)
        await store.close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {'our memory at most, MB':32} {rss:10.1f}")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--redis", default="")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.redis:
        asyncio.run(bench(given.redis, given.tasks, given.profile))
        return
    with private_valkey() as server:
        asyncio.run(bench(server.url, given.tasks, given.profile))


if __name__ == "__main__":
    main()
