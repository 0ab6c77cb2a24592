"""Agents over MCP: how soon a waiting one gets its answer, and what asking costs.

Calls are bare HTTP, so that a server is measured and not a client library.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

import httpx2
import redis

from herald_core.model.events.event import Event
from herald_core.store.redis.store import RedisStore
from tests.support.clients.mcp_json import Wire
from tests.support.conformance import suite
from tests.support.herald.process import TOKEN, HeraldProcess

READS = re.compile(r"^(get|mget|hget|hgetall|hmget|zrange|zrevrange|smembers|sscan)")
LISTENS = Path(suite.__file__).with_name("listens.mjs")
CLIENT = "2.4.0"
SETTLED = 0.3
"""Seconds in which every wait that was started has arrived."""


class Waited(NamedTuple):
    """How late waiting agents got their answer, in ms, and what the store was asked."""

    late: list[float]
    told: int
    """How many got the right answer."""
    begun_with: int
    """Reads of the store until all waited."""
    ended_with: int
    """Reads of the store from then until all had their answer."""


@asynccontextmanager
async def agent(server: HeraldProcess, *able: str) -> AsyncGenerator[Wire]:
    """Connect, with room for many calls at once."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(headers=bearer, timeout=60, limits=limits) as http:
        yield Wire(http, f"{server.url}mcp", *able)


async def call(wire: Wire, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its structured answer."""
    answer = await wire("tools/call", name=tool, arguments=arguments)
    result: dict[str, Any] = answer["result"]
    assert not result.get("isError"), result
    found: dict[str, Any] = result["structuredContent"]
    return found


async def tell(store: RedisStore, kind: str, clock: int, *ids: str) -> None:
    """Store an event of each task."""
    now = time.time()
    events = [
        Event(
            kind=kind, task_id=id_, at=now, clock=clock, host="w@h", pid=7, name="n.n"
        )
        for id_ in ids
    ]
    await store.store(events, now=now)


def reads(url: str) -> int:
    """Return how many times a store was read from, since it started."""
    with redis.Redis.from_url(url) as client:
        stats: dict[str, Any] = client.info("commandstats")
    return sum(
        int(one["calls"])
        for name, one in stats.items()
        if READS.match(name.removeprefix("cmdstat_"))
    )


async def all_wait(
    server: HeraldProcess, url: str, number: int, seconds: float
) -> Waited:
    """Let so many wait for a task each; the tasks end at random within `seconds`."""
    store = RedisStore(url)
    await store.open()
    ids = [f"w{n}" for n in range(number)]
    ended: dict[str, float] = {}
    late: list[float] = []

    async def wait(wire: Wire, id_: str) -> bool:
        told = await call(wire, "wait_for_task", task_id=id_)
        late.append(1e3 * (time.monotonic() - ended[id_]))
        return bool(told["done"] and told["status"] == "success")

    try:
        await tell(store, "started", 1, *ids)
        async with agent(server) as wire:
            before = reads(url)
            waiting = [asyncio.create_task(wait(wire, id_)) for id_ in ids]
            await _watched(server, number)
            await asyncio.sleep(SETTLED)
            all_there = reads(url)
            random = Random(5)
            moments = sorted((random.uniform(0, seconds), id_) for id_ in ids)
            begun = time.monotonic()
            for at, id_ in moments:
                await asyncio.sleep(max(begun + at - time.monotonic(), 0))
                ended[id_] = time.monotonic()
                await tell(store, "succeeded", 2, id_)
            told = await asyncio.gather(*waiting)
            after = reads(url)
    finally:
        await store.close()
    return Waited(late, sum(told), all_there - before, after - all_there)


async def _watched(server: HeraldProcess, number: int) -> None:
    until = time.monotonic() + 30
    while (await asyncio.to_thread(server.get, "api/v1/health"))["watchers"] < number:
        assert time.monotonic() < until, "they do not all wait"
        await asyncio.sleep(0.05)


async def timed(ask: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """Return how long each of some questions took, in ms, one after the other."""
    took: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        await ask()
        took.append(1e3 * (time.perf_counter() - begun))
    return took


class Asked(NamedTuple):
    """How long questions took, in ms: of nothing, of the active tasks, of one."""

    nothing: list[float]
    active: list[float]
    total: int
    one: list[float]


async def asked(server: HeraldProcess, url: str, active: int, times: int) -> Asked:
    """Ask with so many tasks active; `nothing` is a call that reads no store."""
    store = RedisStore(url)
    await store.open()
    try:
        for at in range(0, active, 500):
            ids = [f"a{n}" for n in range(at, min(at + 500, active))]
            await tell(store, "started", 1, *ids)
        async with agent(server) as wire:
            total = (await call(wire, "list_active_tasks"))["total_active"]
            return Asked(
                await timed(lambda: wire("ping"), times),
                await timed(lambda: call(wire, "list_active_tasks"), times // 10),
                int(total),
                await timed(lambda: call(wire, "get_task_status", task_id="a1"), times),
            )
    finally:
        await store.close()


class Pushed(NamedTuple):
    """What a client in another language received, and how late, in ms."""

    late: float
    told: int
    ended: int
    asked: list[str]


async def pushed(server: HeraldProcess, url: str, number: int) -> Pushed:
    """Let the official client in TypeScript listen to tasks that go through."""
    module = suite.installed(
        suite.cache(f"client-{CLIENT}"),
        (f"@modelcontextprotocol/client@{CLIENT}",),
        "@modelcontextprotocol/client/dist/index.mjs",
    )
    ids = [f"p{n}" for n in range(number)]
    store = RedisStore(url)
    await store.open()
    await tell(store, "received", 1, *ids)
    process = await asyncio.create_subprocess_exec(
        *(str(suite.NODE), str(LISTENS), str(module)),
        *(f"{server.url}mcp", TOKEN, *ids),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    going = None
    try:
        async for line in process.stdout:
            lines.append(json.loads(line))
            if len(lines) == number:
                # All are listened to; now they go through, one after the other.
                going = asyncio.create_task(_go_through(store, ids))
        assert going is not None
        await going
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await store.close()
    told = lines[number:-1]
    late = [one["late"] for one in told]
    ended = sum(one["status"] == "completed" for one in told)
    return Pushed(median(late), len(told), ended, lines[-1]["asked"])


async def _go_through(store: RedisStore, ids: list[str]) -> None:
    for id_ in ids:
        for clock, kind in enumerate(("started", "succeeded"), 2):
            await tell(store, kind, clock, id_)
            await asyncio.sleep(0.02)
