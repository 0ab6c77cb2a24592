"""What is pushed over MCP, and by whom it may be asked for: real HTTP, both eras."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

import httpx2
import pytest
from celery import Celery
from fastmcp import Client as FastClient
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from herald_server.auth.identity import Identity
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import (
    SNAPSHOT,
    call,
    house,
    over_http,
    refused,
)
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

OWNER = {"owner": Identity("owner")}


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The era that the client speaks."""
    return str(request.param)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, which is its result backend too."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def web(token: str = "owner") -> AsyncGenerator[httpx2.AsyncClient, None]:
    """Open an HTTP client that sends `token`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as client:
        yield client


def bearer(url: str, token: str, mode: str) -> FastClient[Any]:
    """Return a client that sends `token`."""
    return FastClient(url, auth=token, mode=mode)


# -- resources -----------------------------------------------------------------------


async def read(client: Client, uri: str) -> Any:
    """Return the JSON of a resource, past any cache."""
    result = await client.session.read_resource(uri)
    content = result.contents[0]
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def test_a_task_is_a_resource_with_its_attempts(mode: str) -> None:
    async with house() as made, over_http(made, OWNER) as url, web() as http:
        await made.started("T-1")
        async with Client(
            streamable_http_client(url, http_client=http), mode=mode
        ) as c:
            told = await read(c, "task://T-1")
            active = await read(c, "tasks://active")
    assert (told["id"], told["state"]) == ("T-1", "STARTED")
    assert [one["attempt"] for one in told["attempts"]] == [1]
    assert active["total_active"] == 1


async def test_resources_say_that_they_can_be_subscribed_to(mode: str) -> None:
    async with (
        house() as made,
        over_http(made, OWNER) as url,
        web() as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as c,
    ):
        able = c.server_capabilities.resources
    assert able is not None
    assert able.subscribe is True


async def test_listening_tells_of_a_task_and_of_the_active_ones() -> None:
    async with house() as made, over_http(made, OWNER) as url, web() as http:
        await made.started("T-1")
        async with Client(streamable_http_client(url, http_client=http)) as client:
            wanted = ["task://T-1", "tasks://active", "file://nothing"]
            async with client.listen(resource_subscriptions=wanted) as stream:
                assert stream.honored.resource_subscriptions == wanted[:2]
                await made.tell("succeeded", "T-1")
                heard: set[str] = set()
                async with asyncio.timeout(30):
                    async for event in stream:
                        heard.add(cast(Any, event).uri)
                        if heard == set(wanted[:2]):
                            break
                assert (await read(client, "task://T-1"))["state"] == "SUCCESS"
        await wait_until_async(lambda: not made.hub.count_subscribers())


async def test_listening_gathers_a_burst_but_tells_the_end_at_once() -> None:
    async with house() as made, over_http(made, OWNER) as url, web() as http:
        await made.started("T-1")
        async with (
            Client(streamable_http_client(url, http_client=http)) as client,
            client.listen(resource_subscriptions=["task://T-1"]) as stream,
        ):
            events = aiter(stream)
            told = 0
            for percent in range(1, 40):
                await made.progress("T-1", percent, "on")
                await asyncio.sleep(0.005)
            await made.tell("succeeded", "T-1")
            async with asyncio.timeout(30):
                while (await read(client, "task://T-1"))["state"] != "SUCCESS":
                    await anext(events)
                    told += 1
    assert told <= 4


async def ask(client: Client, what: str, uri: str) -> None:
    """Subscribe or unsubscribe; the client's own methods for it are deprecated."""
    params = SubscribeRequestParams(uri=uri)
    request: Any = (
        SubscribeRequest(params=params)
        if what == "subscribe"
        else UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
    )
    await client.session.send_request(request, EmptyResult)


async def test_a_subscription_of_the_older_era_is_told_on_its_connection() -> None:
    told: list[str] = []

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            told.append(str(message.params.uri))

    async with house() as made, over_http(made, OWNER) as url, web() as http:
        await made.started("T-1")
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode="legacy", message_handler=note) as client:
            await ask(client, "subscribe", "task://T-1")
            # The stream on which it is told opens on its own time.
            percents = count(1)

            async def tell_more() -> bool:
                await made.progress("T-1", next(percents), "on")
                return bool(told)

            await wait_until_async(tell_more, 30)
            await ask(client, "unsubscribe", "task://T-1")
            await wait_until_async(lambda: not made.hub.count_subscribers())
            await ask(client, "subscribe", "tasks://active")
            await wait_until_async(lambda: made.hub.count_subscribers() == 1)
            with pytest.raises(MCPError, match="subscribe to task://TASK_ID"):
                await ask(client, "subscribe", "catalog://task-types")
        # Its session is ended by the client's goodbye.
        await wait_until_async(lambda: not made.hub.count_subscribers())
    assert set(told) == {"task://T-1"}


async def test_subscriptions_work_in_memory_as_over_stdio(mode: str) -> None:
    told: list[str] = []

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            told.append(str(message.params.uri))

    async with house() as made:
        server: Any = made.door._mcp_server  # pyright: ignore[reportPrivateUsage]
        async with Client(server, mode=mode, message_handler=note) as client:
            if mode == "legacy":
                await ask(client, "subscribe", "task://T-1")
                await made.started("T-1")
                await wait_until_async(lambda: told)
            else:
                wanted = ["task://T-1"]
                async with client.listen(resource_subscriptions=wanted) as stream:
                    await made.started("T-1")
                    async with asyncio.timeout(30):
                        told.append(cast(Any, await anext(aiter(stream))).uri)
        await wait_until_async(lambda: not made.hub.count_subscribers())
    assert told[0] == "task://T-1"


async def test_streams_end_when_the_server_is_about_to_stop() -> None:
    async with (
        house() as made,
        over_http(made, OWNER) as url,
        web() as http,
        Client(streamable_http_client(url, http_client=http)) as client,
        client.listen(resource_subscriptions=["task://t"]) as stream,
    ):
        await made.door.shutdown()
        async with asyncio.timeout(30):
            assert [event async for event in stream] == []


# -- who may -------------------------------------------------------------------------


async def test_each_scope_opens_its_own_tools(mode: str, app: Celery) -> None:
    tokens = {
        "reader": Identity("reader", frozenset(["read"])),
        "starter": Identity("starter", frozenset(["start"])),
        "canceller": Identity("canceller", frozenset(["cancel"])),
    }
    async with house(app) as made, over_http(made, tokens) as url:
        await made.tell("succeeded", "ended")
        async with bearer(url, "reader", mode) as reader:
            start = {"task_type": "metrics_snapshot"}
            told = await call(reader, "get_task_status", task_id="t")
            no_start = await refused(reader, "start_background_task", **start)
            no_cancel = await refused(reader, "cancel_task", task_id="t")
        async with bearer(url, "starter", mode) as starter:
            begun = await call(starter, "start_background_task", **start)
            no_read = [
                await refused(starter, "get_task_status", task_id="t"),
                await refused(starter, "wait_for_task", task_id="t"),
                await refused(starter, "list_active_tasks"),
            ]
            with pytest.raises(MCPError, match="the scope read"):
                await starter.read_resource("task://t")
        async with bearer(url, "canceller", mode) as canceller:
            done = await call(canceller, "cancel_task", task_id="ended")
    assert told["status"] == "unknown"
    assert "needs a token with the scope start" in no_start
    assert "needs a token with the scope cancel" in no_cancel
    assert begun["status"] == "queued"
    assert all("needs a token with the scope read" in said for said in no_read)
    assert done["status"] == "success"


async def test_crisis_activation_needs_admin(mode: str, app: Celery) -> None:
    tokens = {
        "starter": Identity("starter", frozenset(["start"])),
        "admin": Identity("admin", frozenset(["start", "admin"])),
    }
    crisis: dict[str, Any] = {
        "task_type": "resilience_crisis_activation",
        "params": {"severity": "minor", "reason": "flood"},
        "confirm": True,
    }
    async with house(app) as made, over_http(made, tokens) as url:
        async with bearer(url, "starter", mode) as starter:
            said = await refused(starter, "start_background_task", **crisis)
        async with bearer(url, "admin", mode) as admin:
            told = await call(admin, "start_background_task", **crisis)
    assert "needs a token with the scope admin" in said
    assert told["status"] == "queued"


async def test_who_may_not_read_may_not_listen() -> None:
    tokens = {"starter": Identity("starter", frozenset(["start"]))}
    async with (
        house() as made,
        over_http(made, tokens) as url,
        web("starter") as http,
    ):
        async with Client(streamable_http_client(url, http_client=http)) as client:
            with pytest.raises(MCPError, match="needs a token with the scope read"):
                async with client.listen(resource_subscriptions=["task://t"]):
                    pass
        assert made.hub.count_subscribers() == 0


async def test_a_wrong_token_does_not_even_reach_the_door() -> None:
    async with house() as made, over_http(made, OWNER) as url, web("wrong") as http:
        answer = await http.post(url, json={})
    assert answer.status_code == 401


# -- clients that leave --------------------------------------------------------------


async def test_a_client_that_leaves_does_not_cancel_the_task(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    async with house(app) as made, over_http(made, OWNER) as url:
        async with bearer(url, "owner", "auto") as client:
            begun = await call(
                client, "start_background_task", task_type="metrics_snapshot"
            )
            task_id = begun["task_id"]
            waiting = asyncio.create_task(
                call(client, "wait_for_task", task_id=task_id)
            )
            await wait_until_async(lambda: made.hub.count_subscribers() == 1)
            waiting.cancel()
        await wait_until_async(lambda: not made.hub.count_subscribers())
        await made.started(task_id, SNAPSHOT)
        assert (await made.store.get_task(task_id)).state == "STARTED"
    with module_valkey.client() as broker:
        assert broker.llen(str(app.conf.task_default_queue)) == 1


async def test_without_sessions_any_process_can_answer(mode: str) -> None:
    async with house() as made, over_http(made, OWNER, stateless=True) as url:
        await made.started("t1")
        async with bearer(url, "owner", mode) as client:
            told = await call(client, "get_task_status", task_id="t1")
        assert made.hub.count_subscribers() == 0
    assert told["status"] == "started"
