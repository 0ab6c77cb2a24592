"""Search in many tasks: a declared key, a text, an order.

`python -m tests.bench --only search`, or `python -m tests.bench.search --tasks N`. The
store is filled with finished tasks whose order id is a declared key.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.queries.argument_index import ArgumentIndex, parse_index
from herald_core.model.queries.query_text import parse_query_text
from herald_core.store.index_file import KEY_KIND
from herald_core.store.redis.store import RedisStore
from herald_server.insight.search.task_search import SearchStep, TaskSearch
from tests.bench.store import PREFIX, life, server_cpu
from tests.bench.table import Table
from tests.support.servers.redis import private_valkey

TASKS = 1_000_000
QUICK_TASKS = 20_000
NEWEST = 100_000
"""The first hit of a text lies among so many of the newest tasks."""

TIMES = 200
BATCH = 500
FIRST_ID = 10_000_000


def measure_search(table: Table, quick: bool, tasks: int | None = None) -> None:
    """Search in a store of its own."""
    count = tasks or (QUICK_TASKS if quick else TASKS)
    table.part(f"search in {count} finished tasks")
    with private_valkey() as server:
        asyncio.run(_measure(table, server.url, count))


async def _measure(table: Table, url: str, tasks: int) -> None:
    for name, index in (("without [index]", None), ("with [index]", _make_index())):
        store = RedisStore(url, prefix=PREFIX, index=index)
        await store.open()
        number = tasks if index else min(tasks // 4, 50_000)
        used_s = await _fill(store, number)
        table.row(f"stored {name}", f"{used_s / number / 4 * 1e6:8.1f} µs CPU an event")
        if index is None:
            await store._client.execute("FLUSHDB")  # pyright: ignore[reportPrivateUsage]
        else:
            await store.put_item(KEY_KIND, "kwargs.order_id *", b"1.0", 3600)
            await _measure_searches(table, store, tasks)
        await store.close()


def _make_index() -> ArgumentIndex | None:
    return parse_index({"*": "kwargs.order_id"})


async def _fill(store: RedisStore, tasks: int) -> float:
    """Store finished tasks; return the seconds of our CPU."""
    random, used_s = Random(1), 0.0
    for first in range(0, tasks, BATCH):
        events = [
            event
            for number in range(first, min(first + BATCH, tasks))
            for event in _make_life(number, random)
        ]
        begun = time.process_time()
        await store.store(events, now=time.time())
        used_s += time.process_time() - begun
    return used_s


def _make_life(number: int, random: Random) -> list[Event]:
    kwargs = f"{{'order_id': {FIRST_ID + number}}}"
    return [
        msgspec.structs.replace(event, kwargs=kwargs) if event.kwargs else event
        for event in life(number, random, time.time() - 1)
    ]


async def _measure_searches(table: Table, store: RedisStore, tasks: int) -> None:
    search, random = TaskSearch(store), Random(2)

    async def find_by_key() -> SearchStep:
        number = FIRST_ID + random.randrange(tasks)
        return await _search(search, f"kwargs.order_id:{number}", 1)

    took = sorted([await _time(find_by_key) for _ in range(TIMES)])
    figures = (
        f"p50 {took[TIMES // 2]:7.2f}  p99 {took[-3]:7.2f}  most {took[-1]:7.2f} ms"
    )
    table.row("declared key", figures)
    oldest = FIRST_ID + max(tasks - NEWEST, 0)
    first = await _time(lambda: _walk_to_first(search, f"{oldest} -zzz"))
    table.row(f"text, first hit at {min(tasks, NEWEST)}", f"{first:8.0f} ms")
    begun, cpu = time.monotonic(), time.process_time()
    server_s = await server_cpu(store)
    searched = await _walk(search, "nosuchtext")
    wall, used = time.monotonic() - begun, time.process_time() - cpu
    server_s = await server_cpu(store) - server_s
    table.row(
        "text that no task has",
        f"{searched / wall:8.0f} tasks/s {used / searched * 1e6:6.1f} µs CPU a task",
    )
    table.row(
        "  of the store's server",
        f"{server_s / searched * 1e6:8.2f} µs CPU a task, "
        f"{server_s / wall:6.1%} of its time",
    )
    ordered = await _time(lambda: _search(search, "sort:-runtime", 100))
    table.row(f"order of the newest {min(tasks, NEWEST)}", f"{ordered:8.0f} ms")


async def _search(search: TaskSearch, text: str, limit: int) -> SearchStep:
    found = await search.search(parse_query_text(text, time.time()), limit=limit)
    assert found.tasks
    return found


async def _walk_to_first(search: TaskSearch, text: str) -> None:
    query = parse_query_text(text, time.time())
    async for step in search.iter_steps(query, limit=1):
        if step.tasks:
            return
    raise AssertionError("the task is not found")


async def _walk(search: TaskSearch, text: str) -> int:
    searched = 0
    async for step in search.iter_steps(parse_query_text(text, time.time())):
        searched = step.searched
    return searched


async def _time(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long `work` takes, in ms."""
    begun = time.monotonic()
    await work()
    return (time.monotonic() - begun) * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    measure_search(Table(), False, parser.parse_args().tasks)
