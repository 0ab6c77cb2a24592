"""The functions that one event passes through: each of three paths has a budget.

A budget has room for a few functions: this test does not run before each landing, and
what one function more is worth is for whoever adds it to say. All room used up is a
reason to make the path shorter.
"""

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
from herald_server.alerts.keeper import LEASE_NAME as ALERTS_LEASE
from tests.support.call_trace import Calls, CallTrace, describe, files
from tests.support.celery.worker import AppFactory
from tests.support.clients.websocket import connected
from tests.support.herald.server import (
    Server,
    make_store,
    serving,
    take_lease,
    watched,
)
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

MIN_RUNS, MAX_RUNS = 8, 100
"""Events that are traced, at least and at most."""


class EventPath:
    """What the calls of several events have in common, and how long it may be."""

    def __init__(self, *, functions: int, in_files: int) -> None:
        self._functions, self._in_files = functions, in_files
        self._runs: list[Calls] = []

    @property
    def needs_more(self) -> bool:
        """Whether one more event is to be traced.

        On a busy machine something else may fall into each of a few runs.
        """
        if len(self._runs) < MIN_RUNS:
            return True
        return len(self._runs) < MAX_RUNS and not self._is_within_budget()

    def add(self, run: Calls) -> None:
        """Take the calls of one event."""
        self._runs.append(run)

    def check(self) -> None:
        """Fail if the path is longer than its budget; print it."""
        path = self._find_common()
        print(describe(path))
        assert len(path) > self._functions / 2, "not all of it was traced"
        assert self._is_within_budget(), describe(path)

    def _is_within_budget(self) -> bool:
        path = self._find_common()
        return len(path) <= self._functions and len(files(path)) <= self._in_files

    def _find_common(self) -> Calls:
        first, *others = self._runs
        return {call: None for call in first if all(call in run for run in others)}


# -- bytes from the broker -> Redis ------------------------------------------------


async def test_from_the_bytes_of_the_broker_to_redis(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app, trace = project_app(valkey.url), CallTrace()
    path = EventPath(functions=120, in_files=46)
    with trace.installed(threads=True):
        async with (
            Redis.from_url(valkey.url) as raw,
            monitoring(app, valkey.url) as keys,
        ):
            with cast(Any, app).events.default_dispatcher() as worker:
                while path.needs_more:
                    task_id = str(uuid4())
                    key = keys.make_record(TASK, task_id)
                    trace.start()
                    trace.add_stack("receiver")
                    worker.send("task-received", uuid=task_id, **RECEIVED)
                    while not await raw.exists(key):
                        await asyncio.sleep(0)
                    # The monitor, on the same loop, gets its answer meanwhile.
                    for _ in range(3):
                        await raw.ping()
                    path.add(trace.stop())
    path.check()


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
    trace, path = CallTrace(), EventPath(functions=55, in_files=22)
    url, store = valkey.url, make_store(valkey.url, PREFIX)
    # Alerts, which follow the log as well, are another server's.
    await take_lease(url, PREFIX, ALERTS_LEASE)
    async with (
        serving(url, store=store) as server,
        connected(server) as client,
    ):
        await client.subscribe(filter={"state": ["RECEIVED"]})
        await client.heard("pong")
        await watched(server)
        with trace.installed():
            while path.needs_more:
                trace.start(until_port=port(server))
                sent = len(client.of("data"))
                await asyncio.to_thread(store_apart, url)
                await wait_until_async(lambda: len(client.of("data")) > sent)  # noqa: B023
                found = trace.stop()
                # On a slow machine another frame, a heartbeat, may end the trace first.
                if {name for _, name in found} >= {"decode_change", "DataFrame.encode"}:
                    path.add(found)
    path.check()


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
    trace, path = CallTrace(), EventPath(functions=166, in_files=65)
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
                while path.needs_more:
                    trace.start(until_port=port(server))
                    found = await client.call_tool("get_task_status", {"task_id": "t1"})
                    path.add(trace.stop())
                    assert found.data.result == 3
    path.check()
