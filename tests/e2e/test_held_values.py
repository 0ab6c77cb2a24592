"""What one token may have watched at once by calls that wait, at every door."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.herald.mcp_environment import refused as tool_refused
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

SENTENCE = "at most 5 values in the filters of all subscriptions"
FOUR = {"ids": ["a", "b", "c", "d"]}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


def values(server: Server) -> int:
    """Return how many values are counted for all tokens."""
    accounts = server.app.state.shared.accounts
    return sum(account.values for account in accounts._accounts.values())


async def begin(agent: Client[Any], server: Server) -> "asyncio.Task[CallToolResult]":
    """Begin to wait for changes of four ids; return the call once it waits."""
    first = await agent.call_tool("wait_for_changes", {"filter": FOUR})
    given = {"filter": FOUR, "cursor": first.data.cursor, "timeout_s": 30}
    call = asyncio.create_task(agent.call_tool("wait_for_changes", given))
    await wait_until_async(lambda: values(server) == 4, message="it waits")
    return call


async def test_values_of_waits_count_with_those_of_subscriptions(url: str) -> None:
    async with (
        serving(url, filter_values_per_token=5) as server,
        Client(f"{server.url}mcp", auth=TOKEN) as agent,
        connected(server) as client,
    ):
        await server.tell("received", "a")
        call = await begin(agent, server)
        said = await tool_refused(agent, "wait_for_changes", filter={"ids": ["e", "f"]})
        assert SENTENCE in said
        await client.say(type="subscribe", id="s", filter={"ids": ["e", "f"]})
        [error] = await client.heard("error")
        assert (error["code"], SENTENCE in error["message"]) == ("too_many", True)
        await server.tell("started", "a")
        await call
        assert values(server) == 0
        await client.say(type="subscribe", id="s", filter={"ids": ["e", "f"]})
        await wait_until_async(lambda: values(server) == 2)


async def test_each_wait_counts_for_one_at_least(url: str) -> None:
    async with serving(url, filter_values_per_token=1) as server:
        let_in(server, "another-token")
        await server.tell("received", "a")
        async with asking(server) as ask:
            path = "/api/v1/tasks/a/wait?timeout=30"
            wait = asyncio.create_task(ask.get(path))
            await wait_until_async(lambda: values(server) == 1, message="it waits")
            answer = await ask.get(path)
            refused(answer, 429, "at most 1 values in the filters")
            assert answer.headers["retry-after"] == "5"
            async with Client(f"{server.url}mcp", auth=TOKEN) as agent:
                said = await tool_refused(agent, "wait_for_changes")
                assert "at most 1 values" in said
                said = await tool_refused(agent, "wait_for_task", task_id="a")
                assert "at most 1 values" in said
            await _others_wait(server)
            await server.tell("succeeded", "a")
            assert (await wait).json()["state"] == "SUCCESS"
        assert values(server) == 0


async def _others_wait(server: Server) -> None:
    async with asking(server, {"Authorization": "Bearer another-token"}) as other:
        answer: httpx2.Response = await other.get("/api/v1/tasks/a/wait?timeout=0.1")
        assert answer.json()["timed_out"]


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_resources_that_are_subscribed_to_count(url: str) -> None:
    async with (
        serving(url, filter_values_per_token=2) as server,
        Client(f"{server.url}mcp", auth=TOKEN, mode="legacy") as agent,
    ):
        session: Any = agent.session
        for number in range(2):
            await session.subscribe_resource(f"task://{number}")
        with pytest.raises(Exception, match="at most 2 values in the filters"):
            await session.subscribe_resource("task://2")
        await session.unsubscribe_resource("task://1")
        await wait_until_async(lambda: values(server) == 1)
        await session.subscribe_resource("task://2")


async def test_a_subscription_without_values_counts_for_one(url: str) -> None:
    async with (
        serving(url, filter_values_per_token=2) as server,
        connected(server) as client,
    ):
        for number in range(3):
            await client.say(type="subscribe", id=str(number))
        [error] = await client.heard("error")
        assert (error["id"], error["code"]) == ("2", "too_many")
