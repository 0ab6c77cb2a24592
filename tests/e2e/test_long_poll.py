"""Waiting for a task over HTTP, and ids that hold slashes."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def ask(
    server: Server, path: str, method: str = "GET"
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(timeout=30, headers=headers) as http:
        answer = await http.request(method, f"{server.url}api/v1/{path}")
    return answer.status_code, answer.json()


async def waited_on(server: Server, path: str) -> asyncio.Task[Any]:
    """Begin to wait, and return once the server does."""
    asking = asyncio.create_task(ask(server, path))
    hub = server.app.state.shared.hub
    await wait_until_async(lambda: hub.count_subscribers() == 1 or asking.done())
    return asking


async def test_it_answers_the_moment_the_task_ends(url: str) -> None:
    async with serving(url) as server:
        await server.tell("started", "a", name="n")
        asking = await waited_on(server, "tasks/a/wait")
        begun = time.monotonic()
        await server.tell("succeeded", "a", runtime=1.0, result="42")
        status, task = await asking
        assert time.monotonic() - begun < 10
        assert status == 200
        assert (task["state"], task["final"], task["result"]) == ("SUCCESS", True, "42")
        assert "timed_out" not in task
        assert server.app.state.shared.hub.count_subscribers() == 0


async def test_a_task_that_ended_already_is_answered_at_once(url: str) -> None:
    async with serving(url) as server:
        await server.tell("failed", "a", exception="ValueError()")
        status, task = await ask(server, "tasks/a/wait")
        assert (status, task["state"]) == (200, "FAILURE")


async def test_in_the_end_the_task_is_told_as_it_is(url: str) -> None:
    async with serving(url) as server:
        await server.tell("started", "a")
        status, task = await ask(server, "tasks/a/wait?timeout=0.05")
        assert (status, task["state"]) == (200, "STARTED")
        assert task["timed_out"] is True


async def test_a_task_that_nobody_knows_yet_is_waited_for_as_well(url: str) -> None:
    async with serving(url) as server:
        asking = await waited_on(server, "tasks/later/wait")
        await server.tell("received", "later")
        await server.tell("succeeded", "later")
        status, task = await asking
        assert (status, task["state"]) == (200, "SUCCESS")
        status, task = await ask(server, "tasks/never/wait?timeout=0.05")
        assert (status, task["state"], task["timed_out"]) == (404, "UNKNOWN", True)


@pytest.mark.parametrize("timeout", ["-1", "61", "soon", "nan", "inf"])
async def test_a_wait_is_a_minute_at_most(url: str, timeout: str) -> None:
    async with serving(url) as server:
        status, said = await ask(server, f"tasks/a/wait?timeout={timeout}")
        assert status == 400
        assert said["detail"] == "timeout must be a number of seconds from 0 to 60"


async def test_who_leaves_is_waited_for_no_more(url: str) -> None:
    async with serving(url) as server:
        asking = await waited_on(server, "tasks/a/wait")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_until_async(
            lambda: server.app.state.shared.hub.count_subscribers() == 0
        )


async def test_a_stopping_server_answers_those_who_wait(url: str) -> None:
    async with serving(url) as server:
        await server.tell("started", "a")
        asking = await waited_on(server, "tasks/a/wait")
        server.app.state.shared.waiter.close()
        status, task = await asking
        assert (status, task["state"], task["timed_out"]) == (200, "STARTED", True)


# -- ids with slashes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        ("tasks/a/b", "a/b"),
        ("tasks/a%2Fb", "a/b"),
        ("tasks/a/b/wait", "a/b"),
        ("tasks/a%2Fb/wait", "a/b"),
        # An escaped slash is no separator.
        ("tasks/a%2Fwait", "a/wait"),
        ("tasks/a%2Fwait/wait", "a/wait"),
        ("tasks/a%2Fcancel", "a/cancel"),
    ],
)
async def test_ids_may_hold_slashes(url: str, path: str, id_: str) -> None:
    async with serving(url) as server:
        await server.tell("succeeded", id_)
        status, task = await ask(server, path)
        assert (status, task["id"], task["state"]) == (200, id_, "SUCCESS")


async def test_no_id_is_no_task(url: str) -> None:
    async with serving(url) as server:
        for path in ("tasks/", "tasks//wait"):
            status, said = await ask(server, path)
            assert (status, said["title"]) == (404, "Not Found")
            assert said["detail"] == f"there is nothing at /api/v1/{path}"


async def test_an_id_with_slashes_can_be_cancelled(url: str) -> None:
    async with serving(url) as server:
        status, said = await ask(server, "tasks/a/b/cancel", "POST")
        # This server knows no broker; the route is the point.
        assert (status, "HERALD_BROKER_URL" in said["detail"]) == (503, True)
