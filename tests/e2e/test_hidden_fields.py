"""A token that hides fields shows them in no interface, and finds nothing by them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_client import AccessRefused, Herald, Put, ServerProblem
from herald_server.demo.app import make_app
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

SECRETS = ("Argument", "Kwarg", "Boom", "Trace")


@pytest.fixture
async def server(valkey: PrivateValkey) -> AsyncGenerator[Server]:
    """A server that knows of one failed task."""
    app = make_app(valkey.url, valkey.url)
    async with serving(valkey.url, celery=app) as made:
        await made.beat()
        said = {"args": "('Argument',)", "kwargs": "{'key': 'Kwarg'}"}
        await made.tell("received", "a", name="shop.pay", retries=0, **said)
        await made.tell("failed", "a", exception="Boom('Boom')", traceback="Trace")
        yield made


async def mint(server: Server, *hide: str) -> str:
    async with Herald(server.url, TOKEN) as owner:
        return (await owner.mint(["read", "start"], hide=hide)).token


@pytest.fixture
async def token(server: Server) -> str:
    """A token that shows neither arguments nor failures."""
    return await mint(server, "args", "exception", "traceback")


def check_hidden(text: str) -> None:
    assert "shop.pay" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_rest_hides_them(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as http:
        for path in ("tasks", "tasks/a", "tasks/a/tree", "tasks/a/wait"):
            check_hidden((await http.get(f"{server.url}api/v1/{path}")).text)
        told = await http.get(f"{server.url}api/v1/tasks/a/result")
        assert told.status_code == 200
        assert [secret for secret in SECRETS if secret in told.text] == []


async def test_an_export_hides_them(server: Server, token: str) -> None:
    async with Herald(server.url, token) as herald:
        columns = ["name", "args", "kwargs", "exception", "traceback"]
        pieces = [piece async for piece in herald.export(columns=columns)]
    check_hidden(b"".join(pieces).decode())


@pytest.mark.parametrize("every", [False, True])
async def test_a_websocket_hides_them(server: Server, token: str, every: bool) -> None:
    async with (
        asyncio.timeout(30),
        Herald(server.url, token) as herald,
        aclosing(aiter(herald.watch(every=every))) as changes,
    ):
        assert isinstance(first := await anext(changes), Put)
        await server.tell("received", "b", args="('Argument',)", name="shop.pay")
        assert isinstance(second := await anext(changes), Put)
    assert first.image.args is first.image.exception is second.image.args is None


async def test_a_replay_hides_them(server: Server, token: str) -> None:
    async with Herald(server.url, TOKEN) as owner, asyncio.timeout(30):
        watch = owner.watch()
        await anext(aiter(watch))
    await server.tell("received", "c", args="('Argument',)", name="shop.pay")
    async with Herald(server.url, token) as herald, asyncio.timeout(30):
        change = await anext(aiter(herald.watch(ids="c")))
    assert isinstance(change, Put)
    assert change.image.args is None


async def test_an_event_stream_hides_them(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as http:
        check_hidden((await http.get(f"{server.url}events?ids=a", timeout=30)).text)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_task_status", {"task_id": "a"}),
        ("get_task_history", {"task_id": "a"}),
        ("list_tasks", {"detail": "full"}),
        ("wait_for_task", {"task_id": "a"}),
        ("wait_for_changes", {"detail": "full"}),
    ],
)
async def test_mcp_hides_them(
    server: Server, token: str, tool: str, arguments: dict[str, str]
) -> None:
    transport = StreamableHttpTransport(
        f"{server.url}mcp", headers={"Authorization": f"Bearer {token}"}
    )
    async with Client(transport) as agent:
        answer = await agent.call_tool(tool, arguments)
    check_hidden(json.dumps(answer.structured_content))


@pytest.mark.parametrize("query", ["Argument", "kwargs.key:Kwarg", "error:Boom"])
async def test_a_search_finds_nothing_by_them(
    server: Server, token: str, query: str
) -> None:
    async with Herald(server.url, TOKEN) as owner:
        assert [task.id async for task in owner.tasks(query=query)] == ["a"]
    async with Herald(server.url, token) as herald:
        assert [task.id async for task in herald.tasks(query=query)] == []
        assert [task.id async for task in herald.tasks(query="shop.pay")] == ["a"]
        preview = await herald.orders.prepare("retry", query=query)
        assert preview.count == 0


async def test_what_it_mints_hides_them_too(server: Server, token: str) -> None:
    async with Herald(server.url, token) as herald:
        child = (await herald.mint(hide=["result"])).token
    async with Herald(server.url, child) as herald:
        task = await herald.task("a")
    assert (task.args, task.exception, task.attempts[0].traceback) == (None,) * 3


async def test_what_is_about_all_tasks_is_refused(server: Server, token: str) -> None:
    async with Herald(server.url, token) as herald:
        for ask in (herald.failures, herald.overview, herald.webhooks):
            with pytest.raises(AccessRefused):
                await ask()


async def test_a_wrong_field_gets_a_sentence(server: Server) -> None:
    with pytest.raises(ServerProblem, match="hide must be a list of args, kwargs"):
        await mint(server, "name")
