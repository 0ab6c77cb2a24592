"""The functions that one event passes through: each of three paths has a budget."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from redis.asyncio import Redis

from herald_core.model.changes import TASK
from herald_core.model.events.event import Event
from herald_core.store.redis.keys import RedisKeys
from herald_monitor.runtime.monitor import Monitor
from tests.support.call_trace import Calls, CallTrace, describe, files
from tests.support.celery.worker import AppFactory
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, make_store, serving, watched
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

PREFIX = "{test-path}"

RECEIVED = {"name": "tests.add", "args": "(1, 2)", "kwargs": "{}", "retries": 0}

RUNS = 8
"""Events that are traced."""


def check(runs: list[Calls], *, functions: int, in_files: int) -> None:
    """Fail if what all `runs` have in common is longer than its budget; print it."""
    path = {call: None for call in runs[0] if all(call in run for run in runs)}
    print(describe(path))
    assert len(path) > functions / 2, f"not all of it was traced: {describe(path)}"
    assert len(path) <= functions, describe(path)
    assert len(files(path)) <= in_files, describe(path)


# -- bytes from the broker -> Redis ------------------------------------------------


async def test_from_the_bytes_of_the_broker_to_redis(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app, trace, runs = project_app(valkey.url), CallTrace(), list[Calls]()
    with trace.installed(threads=True):
        async with (
            Redis.from_url(valkey.url) as raw,
            monitoring(app, valkey.url) as keys,
        ):
            with cast(Any, app).events.default_dispatcher() as worker:
                for number in range(RUNS):
                    key = keys.make_record(TASK, f"t{number}")
                    trace.start()
                    trace.add_stack("receiver")
                    worker.send("task-received", uuid=f"t{number}", **RECEIVED)
                    while not await raw.exists(key):
                        await asyncio.sleep(0)
                    # The monitor, on the same loop, gets its answer meanwhile.
                    for _ in range(3):
                        await raw.ping()
                    runs.append(trace.stop())
    check(runs, functions=115, in_files=44)


@contextlib.asynccontextmanager
async def monitoring(app: Celery, url: str) -> AsyncGenerator[RedisKeys]:
    """Run a monitor for the length of the block; yields the keys of its store."""
    store = make_store(url, PREFIX)
    await store.open()
    monitor, stop = Monitor(app, store, reconcile_every=60.0), asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))
    try:
        await wait_until_async(lambda: monitor.make_view().connected)
        yield RedisKeys(PREFIX)
    finally:
        stop.set()
        await running
        await store.close()


# -- change log -> frame -----------------------------------------------------------


async def test_from_the_change_log_to_a_frame(valkey: PrivateValkey) -> None:
    trace, runs = CallTrace(), list[Calls]()
    url = valkey.url
    async with (
        serving(url, store=make_store(url, PREFIX)) as server,
        connected(server) as client,
    ):
        await client.subscribe(filter={"state": ["RECEIVED"]})
        await client.heard("pong")
        await watched(server)
        with trace.installed():
            while len(runs) < RUNS:
                trace.start(until_port=port(server))
                sent = len(client.of("data"))
                await asyncio.to_thread(store_apart, url)
                await wait_until_async(lambda: len(client.of("data")) > sent)  # noqa: B023
                found = trace.stop()
                # On a slow machine another frame, a heartbeat, may end the trace first.
                if {name for _, name in found} >= {"decode_change", "DataFrame.encode"}:
                    runs.append(found)
    check(runs, functions=49, in_files=20)


def port(server: Server) -> int:
    """Return the port of a server."""
    return urlsplit(server.url).port or 0


def store_apart(url: str) -> None:
    """Store an event as a monitor, on another thread and connection."""

    async def store() -> None:
        now = time.time()
        task: dict[str, Any] = {"task_id": str(uuid4()), "at": now, "retries": 0}
        event = Event(kind="received", host="w@h", pid=7, clock=1, **task)
        apart = make_store(url, PREFIX)
        await apart.open()
        await apart.store([event], now=now)
        await apart.close()

    asyncio.run(store())


# -- MCP get_task_status -----------------------------------------------------------


async def test_the_answer_of_get_task_status(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    trace, runs = CallTrace(), list[Calls]()
    app = project_app(valkey.url, valkey.url)
    async with serving(valkey.url, celery=app) as server:
        await watched(server)
        await server.tell("received", "t1", name="tests.add", args="(1, 2)", retries=0)
        await server.tell("started", "t1")
        await server.tell("succeeded", "t1", result="3", runtime=0.1)
        cast(Any, app).backend.store_result("t1", 3, "SUCCESS")
        transport = StreamableHttpTransport(
            f"{server.url}mcp", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        async with Client(transport) as client:
            with trace.installed():
                for _ in range(RUNS):
                    trace.start(until_port=port(server))
                    found = await client.call_tool("get_task_status", {"task_id": "t1"})
                    runs.append(trace.stop())
                    assert found.data.result == 3
    check(runs, functions=160, in_files=64)
