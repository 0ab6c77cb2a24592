"""Calls of MCP that wait, and sessions, over restarts of a server and its processes."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from herald_core.store.redis.store import RedisStore
from tests.support.clients.mcp_session import opened
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.herald.server import Server, make_store
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ERAS = ["legacy", "auto"]


class Waiter:
    """A client that waits for one task, again and again until it has ended."""

    def __init__(self, client: Client, task_id: str) -> None:
        self.client = client
        self.task_id = task_id
        self.is_waiting = False
        self.answers: list[dict[str, Any]] = []

    async def wait_once(self) -> dict[str, Any]:
        """Return the answer of one call."""

        async def note(
            progress: float, total: float | None, message: str | None
        ) -> None:
            self.is_waiting = True

        arguments = {"task_id": self.task_id, "timeout_s": 40}
        result = await self.client.call_tool(
            "wait_for_task", arguments, progress_callback=note
        )
        self.is_waiting = False
        told = cast("dict[str, Any] | None", result.structured_content)
        assert told is not None, result.content
        self.answers.append(told)
        return told

    async def wait_until_done(self) -> None:
        """Call until the task has ended."""
        while not (await self.wait_once())["done"]:
            pass


@asynccontextmanager
async def waiters(url: str, mode: str, count: int) -> AsyncGenerator[list[Waiter]]:
    """Connect `count` clients, each for a task of its own."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx2.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                headers=headers, timeout=60, trust_env=False, limits=limits
            )
        )
        found: list[Waiter] = []
        for number in range(count):
            transport = streamable_http_client(f"{url}mcp", http_client=http)
            client = Client(transport, mode=mode)
            await stack.enter_async_context(client)
            found.append(Waiter(client, f"t{number}"))
        yield found


@asynccontextmanager
async def stored(url: str) -> AsyncGenerator[RedisStore]:
    """Open the store of a server."""
    store = make_store(url, "{herald}")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def tasks(url: str, count: int) -> AsyncGenerator[Server]:
    """Store `count` tasks that run; yields what tells of them."""
    async with stored(url) as store:
        teller = Server(None, "http://none/", store)  # type: ignore[arg-type]
        await teller.tell("started", *(f"t{n}" for n in range(count)), name="a.b")
        yield teller


@pytest.mark.parametrize("mode", ERAS)
async def test_a_stop_answers_who_waits_and_a_session_outlives_it(
    mode: str, valkey: PrivateValkey, tmp_path: Path
) -> None:
    herald = HeraldProcess(
        tmp_path / "log", "server", port=free_port(), HERALD_STORE_URL=valkey.url
    )
    herald.start()
    try:
        async with (
            tasks(valkey.url, 5),
            waiters(herald.url, mode, 5) as clients,
        ):
            calls = [asyncio.create_task(one.wait_once()) for one in clients]
            await wait_until_async(lambda: all(one.is_waiting for one in clients))
            assert await asyncio.to_thread(herald.stop)
            told = await asyncio.gather(*calls)
            assert [one["done"] for one in told] == [False] * 5
            await asyncio.to_thread(herald.start)
            again = await asyncio.gather(
                *(
                    one.client.call_tool("get_task_status", {"task_id": one.task_id})
                    for one in clients
                )
            )
            assert not any(one.is_error for one in again)
    finally:
        herald.stop()


async def test_a_subscription_outlives_a_restart(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    """Also what changed while no server was there is told."""
    herald = HeraldProcess(
        tmp_path / "log", "server", port=free_port(), HERALD_STORE_URL=valkey.url
    )
    herald.start()
    try:
        async with tasks(valkey.url, 1) as teller, opened(herald.url, TOKEN) as session:
            await session.ask("resources/subscribe", uri="task://t0")
            await asyncio.to_thread(herald.stop)
            await teller.tell("succeeded", "t0", result="1")
            await asyncio.to_thread(herald.start)
            told = await session.read_notification()
    finally:
        herald.stop()
    assert told["method"] == "notifications/resources/updated"
    assert told["params"] == {"uri": "task://t0"}


@pytest.mark.parametrize("mode", ERAS)
async def test_restarts_one_by_one_leave_no_wait_unanswered(
    mode: str, valkey: PrivateValkey, tmp_path: Path
) -> None:
    await _restart_one_by_one(mode, valkey.url, tmp_path, count=20, restarts=2)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ERAS)
async def test_many_restarts_leave_none_of_200_waits_unanswered(
    mode: str, valkey: PrivateValkey, tmp_path: Path
) -> None:
    await _restart_one_by_one(
        mode, valkey.url, tmp_path, count=200, restarts=6, pause_s=20.0
    )


async def _restart_one_by_one(
    mode: str,
    store_url: str,
    place: Path,
    count: int,
    restarts: int,
    pause_s: float = 0.0,
) -> None:
    """Restart the two processes of a server in turn under `count` waits."""
    herald = HeraldProcess(
        place / "log", "server", "--workers", "2", HERALD_STORE_URL=store_url
    )
    herald.start()
    try:
        async with (
            tasks(store_url, count) as teller,
            waiters(herald.url, mode, count) as clients,
        ):
            calls = [asyncio.create_task(one.wait_until_done()) for one in clients]
            for _ in range(restarts):
                await wait_until_async(lambda: all(one.is_waiting for one in clients))
                await asyncio.sleep(pause_s)
                await _restart_oldest(herald)
            await teller.tell(
                "succeeded", *(one.task_id for one in clients), result="1"
            )
            await asyncio.gather(*calls)
        for one in clients:
            done = [answer["done"] for answer in one.answers]
            assert done.count(True) == 1
            assert {answer["task_id"] for answer in one.answers} == {one.task_id}
    finally:
        herald.stop()


async def _restart_oldest(herald: HeraldProcess) -> None:
    """End a process; return once another one listens in its place."""
    children = _list_children(herald.pid)
    os.kill(children[0], signal.SIGTERM)
    port = int(herald.url.rstrip("/").rpartition(":")[2])

    def is_replaced() -> bool:
        now = _list_children(herald.pid)
        gone = children[0] not in now
        return gone and len(now) == len(children) and _count_listeners(port) == 2

    await wait_until_async(is_replaced, 60)


def _list_children(pid: int) -> list[int]:
    # Each thread has a list of its own.
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(word) for one in lists for word in one.read_text().split())


def _count_listeners(port: int) -> int:
    """Return how many sockets listen on `port` of 127.0.0.1."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)
