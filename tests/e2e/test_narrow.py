"""Tokens that are narrowed to some tasks: what they hear and see, until they end."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from mcp.types import ResourceTemplateReference

from herald_core.model.filters import Filter
from herald_server.mcp.tasks_extension.extension import EXTENSION_ID as TASKS
from tests.support.celery.project import make_app
from tests.support.clients.http import asking
from tests.support.clients.mcp_json import Wire
from tests.support.clients.narrow_token import (
    GROUP,
    HIDDEN,
    MINE,
    ONLY,
    ended,
    hidden,
    marks,
    mine,
)
from tests.support.clients.route_requests import gap_of, minted
from tests.support.clients.websocket import connected
from tests.support.herald.memory_server import worker_of
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


# -- what they see -----------------------------------------------------------------

ARGUMENTS: dict[str, Any] = {
    "task_id": HIDDEN,
    "group_id": GROUP,
    "task_type": "metrics_snapshot",
    "tasks": [{"task_type": "metrics_snapshot"}],
    "timeout_s": 0,
    "name": "celery@secret-host",
    "queue": "secret-queue",
    "id": HIDDEN,
    "worker": "celery@secret-host",
    "command": "pool_grow",
    "schedule": "none",
    "order_id": "none",
    "action": "cancel",
    "expect": 1,
    "expect_depth": 1,
    "webhook_id": "none",
    "url": "https://example.org/",
    "what": "deploy",
}


@pytest.mark.parametrize(
    "mode", ["auto", pytest.param("legacy", marks=pytest.mark.soak)]
)
async def test_nothing_over_mcp_tells_of_a_hidden_task(url: str, mode: str) -> None:
    app = make_app(url, url)
    async with serving(url, celery=app) as server:
        await hidden(server, "received", kwargs="{'of': 'hidden-word'}")
        await hidden(server, "failed", exception="hidden-word")
        worker = worker_of("celery@secret-host")
        await server.store.store([], [worker], now=time.time())
        token = minted(server, task_filter=ONLY)
        async with (
            Client(f"{server.url}mcp", auth="a-token-for-tests", mode=mode) as owner,
            Client(f"{server.url}mcp", auth=token, mode=mode) as narrow,
        ):
            asked = 0
            told: list[str] = []
            async for what, ask, echo in _questions(owner):
                found = marks(_without(echo, await _said(ask, narrow)))
                assert not found, (what, found)
                asked += 1
                if any(order in what for order in ("start", "cancel", "dismiss")):
                    continue
                if marks(_without(echo, await _said(ask, owner))):
                    told.append(what)
        assert asked > 25
        assert {"complete task_id", "complete name", "tasks://failed"} <= {*told}, told
        assert len(told) > 12
    app.close()


Ask = Callable[[Client[Any]], Awaitable[object]]
Question = tuple[str, Ask, tuple[str, ...]]


async def _questions(
    client: Client[Any],
) -> AsyncGenerator[Question]:
    """Yield all that can be asked over MCP, as the server lists it.

    With each: what the answer may repeat of the question.
    """
    for tool in await client.list_tools():
        properties = tool.input_schema.get("properties", {})
        needed = {*tool.input_schema.get("required", ()), "timeout_s"} & {*properties}
        given = {key: ARGUMENTS[key] for key in needed}
        asked = tuple(value for value in given.values() if isinstance(value, str))
        yield tool.name, _calling(tool.name, given), asked
    for resource in await client.list_resources():
        yield str(resource.uri), _reading(str(resource.uri)), ()
    for template in await client.list_resource_templates():
        for name in (HIDDEN, GROUP, "celery@secret-host"):
            uri = template.uri_template.partition("{")[0] + name
            yield uri, _reading(uri), (name,)
        param = template.uri_template.partition("{")[2].rstrip("}")
        yield f"complete {param}", _completing(template.uri_template, param), ()
    for prompt in await client.list_prompts():
        given = {one.name: HIDDEN for one in prompt.arguments or () if one.required}
        yield prompt.name, _prompting(prompt.name, given), tuple(given.values())


def _calling(name: str, given: dict[str, Any]) -> Ask:
    return lambda client: client.call_tool(name, given, raise_on_error=False)


def _reading(uri: str) -> Ask:
    return lambda client: client.read_resource(uri)


def _completing(uri: str, param: str) -> Ask:
    about = ResourceTemplateReference(type="ref/resource", uri=uri)
    return lambda client: client.complete(about, {"name": param, "value": ""})


def _prompting(name: str, given: dict[str, str]) -> Ask:
    return lambda client: client.get_prompt(name, given)


async def _said(ask: Ask, client: Client[Any]) -> str:
    try:
        return str(await ask(client))
    except Exception as error:  # whatever is refused: it says something too
        return str(error)


def _without(asked: tuple[str, ...], said: str) -> str:
    """Return an answer without what was asked about."""
    for one in asked:
        said = said.replace(one, "")
    return said


async def test_methods_of_the_extensions_tell_nothing_either(url: str) -> None:
    async with serving(url) as server:
        before = await server.store.read_end()
        await hidden(server, "received")
        await mine(server, "received")
        headers = {"Authorization": f"Bearer {minted(server, task_filter=ONLY)}"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
            wire = Wire(http, f"{server.url}mcp", TASKS)
            polled = await wire("events/poll", name="task.changed", cursor=str(before))
            names = [
                one["name"] for one in (await wire("events/list"))["result"]["events"]
            ]
            for name in names:
                polled = await wire("events/poll", name=name, cursor=f"{before}")
                assert not marks(polled), polled
            got = await wire("tasks/get", taskId=HIDDEN)
            absent = await wire("tasks/get", taskId="no-such-one")
            assert got["error"]["code"] == absent["error"]["code"]
            assert (await wire("tasks/get", taskId=MINE))["result"]["taskId"] == MINE


# -- what they hear ----------------------------------------------------------------


async def test_on_a_socket_they_hear_of_their_own_tasks_only(url: str) -> None:
    async with serving(url) as server:
        await hidden(server, "received")
        await mine(server, "received")
        await server.store.open_gap(gap_of("celery@secret-host fell silent"))
        token = minted(server, task_filter=ONLY)
        start = str(await server.store.read_end())
        async with connected(server, token) as client:
            await client.say(type="subscribe", id="all")
            await client.say(type="subscribe", id="each", mode="events")
            await client.say(
                type="subscribe", id="both", filter={"ids": [HIDDEN, MINE]}
            )
            await client.say(type="subscribe", id="since", since=start)
            for topic in ("workers", "counts", "queues", "orders"):
                await client.say(type="subscribe", id=topic, topic=topic)
            await client.heard("error", 4)
            await hidden(server, "started")
            await hidden(server, "succeeded", result="'hidden-word'")
            await mine(server, "started")
            await mine(server, "succeeded")
            await wait_until_async(
                lambda: ended(client.frames) >= {"all", "each", "both", "since"}
            )
            assert {frame["code"] for frame in client.of("error")} == {"forbidden"}
            assert not marks(client.frames)
            assert not client.of("done"), "one of two ids is as if it never was"
            await wait_until_async(lambda: any(f["gaps"] for f in client.of("status")))
            assert not marks(client.of("status"))


async def test_what_leaves_their_filter_is_taken_back_and_not_shown(url: str) -> None:
    async with serving(url) as server:
        only = Filter(state=("STARTED",), name=("reports.*",))
        async with connected(server, minted(server, task_filter=only)) as client:
            await client.say(type="subscribe", id="all")
            await client.heard("data")
            await mine(server, "started")
            await wait_until_async(lambda: any(f.get("put") for f in client.of("data")))
            await mine(server, "failed", exception="hidden-word")
            await wait_until_async(
                lambda: any(f.get("del") == [MINE] for f in client.of("data"))
            )
            assert not marks(client.frames)


async def test_streams_of_mcp_tell_of_their_own_tasks_only(url: str) -> None:
    async with serving(url) as server:
        await hidden(server, "received")
        await mine(server, "received")
        # The first entries ever void all that was told, whatever they hold.
        end, hub = await server.store.read_end(), server.app.state.shared.hub
        await wait_until_async(lambda: hub.pos >= end)
        headers = {"Authorization": f"Bearer {minted(server, task_filter=ONLY)}"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
            wire = Wire(http, f"{server.url}mcp", TASKS)
            uris = [f"task://{HIDDEN}", f"group://{GROUP}", "tasks://active"]
            asked = {"resourceSubscriptions": uris, "taskIds": [HIDDEN, MINE]}
            async with (
                wire.stream("subscriptions/listen", notifications=asked) as listened,
                wire.stream("events/stream", name="task.started") as happened,
            ):
                told = [await listened(), await happened()]
                await hidden(server, "started")
                await hidden(server, "succeeded")
                await mine(server, "started")
                await mine(server, "succeeded")
                while not _tells(told, "notifications/tasks", "completed"):
                    told.append(await listened())
                while not _tells(told, "notifications/events/event", MINE):
                    told.append(await happened())
                acknowledged = told[0]
                assert acknowledged["params"]["notifications"]["taskIds"] == [MINE]
                said = _without_uris(told)
                assert not marks(said), told
                assert GROUP not in said, told


def _tells(told: list[dict[str, Any]], method: str, word: str) -> bool:
    return any(one.get("method") == method and word in str(one) for one in told)


def _without_uris(told: list[dict[str, Any]]) -> str:
    # What was asked for is repeated in the acknowledgement, known or not.
    return json.dumps(told[1:])


async def test_waiting_for_a_hidden_task_is_waiting_for_nothing(url: str) -> None:
    async with serving(url) as server:
        await mine(server, "received")
        token = minted(server, task_filter=ONLY)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            asking(server, headers) as ask,
            Client(f"{server.url}mcp", auth=token) as agent,
            connected(server, token) as client,
        ):
            await client.say(type="subscribe", id="all")
            await client.heard("data")
            watchers = server.app.state.shared.hub.count_subscribers
            before = watchers()
            waits: list[asyncio.Task[Any]] = [
                asyncio.create_task(
                    ask.get(f"/api/v1/tasks/{HIDDEN}/wait?timeout=1.5")
                ),
                asyncio.create_task(
                    agent.call_tool("wait_for_task", {"task_id": HIDDEN})
                ),
                asyncio.create_task(
                    agent.call_tool(
                        "wait_for_changes",
                        {"filter": {"ids": [HIDDEN]}, "timeout_s": 1.5},
                    )
                ),
            ]
            await wait_until_async(lambda: watchers() >= before + 2)
            await hidden(server, "received")
            await hidden(server, "succeeded", result="'hidden-word'")
            polled, awaited, changed = await asyncio.gather(*waits)
            told = polled.json()
            # No monitor writes here, which each answer says.
            told.pop("stale", None)
            assert told == {"id": HIDDEN, "state": "UNKNOWN", "timed_out": True}
            said = _without((HIDDEN,), f"{awaited} {changed}")
            assert not marks(said), said
            assert "unknown" in said


async def test_a_session_of_mcp_is_of_who_opened_it(url: str) -> None:
    async with serving(url) as server:
        hello: dict[str, Any] = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        }
        said = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        listed: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/list",
            "params": {},
        }
        accept = {"Accept": "application/json, text/event-stream"}
        async with asking(server) as owner:
            opened = await owner.post("/mcp", json=said, headers=accept)
            session = {**accept, "Mcp-Session-Id": opened.headers["mcp-session-id"]}
            mine_too = await owner.post("/mcp", json=listed, headers=session)
            assert mine_too.status_code == 200
        for token in (minted(server), minted(server, task_filter=ONLY)):
            async with asking(server, {"Authorization": f"Bearer {token}"}) as other:
                for method in ("POST", "GET", "DELETE"):
                    body = listed if method == "POST" else None
                    answer = await other.request(
                        method, "/mcp", json=body, headers=session
                    )
                    assert answer.status_code == 404, method
