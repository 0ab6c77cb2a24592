"""A million tasks in the store: memory, reads and a sweep while events come in.

`python -m tests.bench --only million`. It is filled by two processes, then 2,000
events/s come in from another while this one reads, and sweeps what ran out.
Bytes are Redis' `used_memory` beyond that of the empty server, without the change
log: that is bounded by itself (`LOG_BYTES`), however many tasks there are.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Coroutine
from multiprocessing.connection import Connection
from random import Random
from typing import Any, NamedTuple, TypeVar

from herald_core.model.filters import Filter
from herald_core.store.redis.store import RETENTION_S, RedisStore
from tests.bench.store import PREFIX, life, used
from tests.bench.table import Table
from tests.bench.traffic import NAMES, SHOP, Shape
from tests.support.servers.redis import private_valkey

TASKS = 1_000_000
OVER = 100_000
"""Tasks of these whose time is over, to be swept."""

FILLERS = 2
BATCH = 500
RATE = 2_000
"""Events a second that come in meanwhile."""

PAUSE = 0.05
"""Seconds between two sweeps of a monitor that has more to sweep."""

TIMES = 200
READ_MS = {"status": 5.0}
"""What a read may take at most (p99); others `OTHER_MS`."""
OTHER_MS = 20.0
DELAY_MS = 50.0

T = TypeVar("T")

_spawn = multiprocessing.get_context("spawn")


class Delays(NamedTuple):
    """How long storing took, in ms, and how many batches were stored."""

    p50: float
    p99: float
    most: float
    batches: int


def measure_million(table: Table, quick: bool) -> None:
    """Compare what is asked of a million tasks with what it may cost."""
    tasks, over = (TASKS // 20, OVER // 20) if quick else (TASKS, OVER)
    table.part(f"{tasks} finished tasks in the store, {RATE} events/s coming in")
    with private_valkey() as server:
        asyncio.run(_measure(table, server.url, tasks, over))


async def _measure(table: Table, url: str, tasks: int, over: int) -> None:
    store = RedisStore(url, prefix=PREFIX)
    await store.open()
    empty = (await used(store))["all"]
    begun = time.monotonic()
    await asyncio.to_thread(fill_store, url, tasks, over)
    table.row("filled", f"{tasks / (time.monotonic() - begun):8.0f} tasks/s")
    full = await used(store)
    kept = (full["all"] - empty - full["log"]) / tasks
    figures = f"{kept:8.0f}, the log {full['log'] / 1e6:.0f} MB"
    table.row("B a task", figures, "million, B a task: 800 B", kept / 800)
    for what, read in (await _reads(store)).items():
        _, took = await _beside(url, _timed(read))
        most = READ_MS.get(what, OTHER_MS)
        ratio = f"million, {what}, p99: {most:.0f} ms"
        table.row(what, _figures(took), ratio, took.p99 / most)
    begun = time.monotonic()
    swept, delays = await _sweep(store)
    table.row(f"sweeping {swept}", f"{time.monotonic() - begun:8.1f} s")
    ratio = f"million, delay by a sweep: {DELAY_MS:.0f} ms"
    table.row("storing meanwhile", _figures(delays), ratio, delays.most / DELAY_MS)
    await store.close()


def _figures(took: Delays) -> str:
    return f"p50 {took.p50:7.2f}  p99 {took.p99:7.2f}  most {took.most:7.2f} ms"


# -- filling ---------------------------------------------------------------------------


def fill_store(
    url: str,
    tasks: int,
    over: int = 0,
    shape: Shape = SHOP,
    prefix: str = PREFIX,
) -> None:
    """Store finished tasks, by some processes; `over` of them to be swept."""
    each = tasks // FILLERS, over // FILLERS, shape, prefix
    shares = [(url, n, *each) for n in range(FILLERS)]
    fillers = [_spawn.Process(target=_filler, args=share) for share in shares]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
        assert filler.exitcode == 0


def _filler(
    url: str, seed: int, tasks: int, over: int, shape: Shape, prefix: str
) -> None:
    asyncio.run(_store_tasks(RedisStore(url, prefix=prefix), seed, tasks, over, shape))


async def _store_tasks(
    store: RedisStore, seed: int, tasks: int, over: int, shape: Shape
) -> None:
    """Store finished tasks, the first of them so long ago that their time is over."""
    random, began = Random(seed), time.time()
    await store.open()
    for first in range(0, tasks, BATCH):
        old = first < over
        now = began - RETENTION_S - 60 if old else time.time()
        numbers = range(first, min(first + BATCH, tasks))
        lives = [life(seed * tasks + n, random, now - 1, shape) for n in numbers]
        await store.store([event for one in lives for event in one], now=now)
    await store.close()


# -- what comes in meanwhile -----------------------------------------------------------


async def _beside(url: str, work: Coroutine[Any, Any, T]) -> tuple[Delays, T]:
    """Do `work` while events come in; return how long storing those took too."""
    ours, theirs = _spawn.Pipe()
    trickle = _spawn.Process(target=_trickle, args=(url, theirs))
    trickle.start()
    try:
        await asyncio.to_thread(ours.recv)
        done = await work
        ours.send("stop")
        return await asyncio.to_thread(ours.recv), done
    finally:
        trickle.join(10)


def _trickle(url: str, said: Connection) -> None:
    asyncio.run(_store_events(url, said))


async def _store_events(url: str, said: Connection) -> None:
    store = RedisStore(url, prefix=PREFIX)
    await store.open()
    took = await _store_until(store, said.poll, lambda: said.send("ready"))
    said.send(_delays(took))
    await store.close()


async def _store_until(
    store: RedisStore, stopped: Callable[[], bool], ready: Callable[[], None]
) -> list[float]:
    """Store `RATE` events a second, a batch each 10 ms; return how long each took."""
    random = Random()
    took: list[float] = []
    tick, number, due = 0.01, 0, time.monotonic()
    while not stopped():
        at = time.time()
        lives = [life(number + n, random, at) for n in range(int(RATE * tick / 4))]
        number += len(lives)
        begun = time.perf_counter()
        await store.store([event for one in lives for event in one], now=at)
        took.append(1e3 * (time.perf_counter() - begun))
        if number == len(lives):
            took.clear()  # the script was new to the server, and the line
            ready()
        due = max(due + tick, time.monotonic() - 1)
        await asyncio.sleep(max(due - time.monotonic(), 0))
    return took


def _delays(took: list[float]) -> Delays:
    took.sort()
    if not took:
        return Delays(0, 0, 0, 0)
    return Delays(
        took[len(took) // 2], took[int(0.99 * len(took))], took[-1], len(took)
    )


# -- reading and sweeping --------------------------------------------------------------

Read = Callable[[Random], Awaitable[object]]


async def _reads(store: RedisStore) -> dict[str, Read]:
    """Return the questions, each about another place in the store each time."""
    ids = [t.id for t in (await store.list_tasks(Filter(), limit=1000)).tasks]
    places = await _places(store)
    rare = Filter(name=(NAMES[1],), state=("FAILURE",))

    def page(filter_: Filter) -> Read:
        return lambda random: store.list_tasks(filter_, page=random.choice(places))

    now = time.time()
    return {
        "status": lambda random: store.get_task(random.choice(ids)),
        "page, all": page(Filter()),
        "page, state": page(Filter(state=("FAILURE",))),
        "page, name glob": page(Filter(name=("shop.mail.*",))),
        "page, name, state, worker": page(
            Filter(name=(NAMES[0],), state=("FAILURE",), worker=("celery@worker-0",))
        ),
        "page, no task at all": page(rare),
        "page, between times": lambda _: store.list_tasks(
            Filter(state=("SUCCESS",)), after=now - 600, before=now - 5
        ),
        "counts": lambda _: store.count_by_state(),
        "count, name and state": lambda _: store.count_tasks(rare, 10_000),
        "rollups of a day": lambda _: store.read_rollups(now - 86_400, now),
        "rollups of an hour, parts": lambda _: store.read_rollups(
            now - 3_600, now, parts=True
        ),
    }


async def _places(store: RedisStore) -> list[str | None]:
    """Return tokens of pages here and there, down to the oldest tasks."""
    places: list[str | None] = [None]
    failed = Filter(state=("FAILURE",))
    for _ in range(40):
        found = await store.list_tasks(failed, limit=1_000, page=places[-1])
        if found.next is None:
            break
        places.append(found.next)
    return places


async def _timed(read: Read) -> Delays:
    random, took = Random(3), list[float]()
    for _ in range(TIMES):
        begun = time.perf_counter()
        await read(random)
        took.append(1e3 * (time.perf_counter() - begun))
    return _delays(took)


async def _sweep(store: RedisStore) -> tuple[int, Delays]:
    """Sweep as a monitor does that takes in events at the same time."""
    begun, ended, swept = asyncio.Event(), asyncio.Event(), 0
    storing = asyncio.create_task(_store_until(store, ended.is_set, begun.set))
    await begun.wait()
    while found := await store.expire_tasks(now=time.time()):
        swept += found
        await asyncio.sleep(PAUSE)
    ended.set()
    return swept, _delays(await storing)
