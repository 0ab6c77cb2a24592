"""Herald below a path, behind a reverse proxy that takes the path off or leaves it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_core.errors import InvalidInput
from herald_server.wiring.settings import make_settings
from tests.support.clients.event_stream import streaming
from tests.support.clients.websocket import at_end, connected
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.journal import Journal
from tests.support.servers.nginx import nginx
from tests.support.servers.prefix_proxy import behind
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

PREFIX = "/tools/herald"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


Front = Callable[[str], AbstractAsyncContextManager[str]]
"""Puts a proxy before a URL, and gives the URL of that."""


@pytest.fixture(
    params=[(False, True), (False, False), (True, True), (True, False)],
    ids=["taken off", "left on", "taken off by nginx", "left on by nginx"],
)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Front:
    real, strip = request.param

    @asynccontextmanager
    async def by_nginx(url: str) -> AsyncGenerator[str]:
        with nginx(url, PREFIX, strip, tmp_path) as public:
            yield public

    return by_nginx if real else lambda url: behind(url, PREFIX, strip)


@asynccontextmanager
async def prefixed(url: str, front: Front) -> AsyncGenerator[tuple[Server, str]]:
    """Serve below `PREFIX`; give the server and its public URL."""
    async with (
        serving(url, root_path=PREFIX) as server,
        front(server.url) as public,
    ):
        yield server, public


def plain(strip: bool) -> Front:
    return lambda url: behind(url, PREFIX, strip)


async def test_the_page_and_all_that_it_links_to_are_there(
    url: str, front: Front
) -> None:
    async with prefixed(url, front) as (_, public), httpx2.AsyncClient() as http:
        page = await http.get(public)
        assert page.status_code == 200
        links = re.findall(r'(?:src|href)="(dashboard/[^"]+)"', page.text)
        assert len(links) > 5
        for link in links:
            assert (await http.get(urljoin(public, link))).status_code == 200, link
        assert (await http.get(urljoin(public, "herald.js"))).status_code == 200


async def test_every_door_opens_below_the_prefix(url: str, front: Front) -> None:
    async with prefixed(url, front) as (server, public):
        await server.tell("received", "a/b", name="n")
        async with httpx2.AsyncClient(headers=BEARER) as http:
            task = await http.get(f"{public}api/v1/tasks/a/b")
            assert task.json()["state"] == "RECEIVED"
            wait = await http.get(f"{public}api/v1/tasks/a%2Fb/wait?timeout=0")
            assert wait.json()["timed_out"] is True
            nothing = await http.get(f"{public}api/v1/tusks")
            assert nothing.json()["detail"].endswith("/tools/herald/api/v1/tusks")
            api = (await http.get(f"{public}asyncapi.json")).json()
            assert api["servers"]["here"]["pathname"] == "/tools/herald"
        journal = Journal("events")
        async with streaming(public, "", journal):
            await at_end(server, journal)
        async with connected(f"ws{public.removeprefix('http')}ws") as client:
            await at_end(server, await client.subscribe())


async def test_an_agent_is_told_through_it(url: str, front: Front) -> None:
    """Its answer is a stream: what is told while it waits must not be held back."""
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with prefixed(url, front) as (server, public):
        transport = StreamableHttpTransport(f"{public}mcp", headers=BEARER)
        async with Client[Any](transport) as client:
            await server.tell("received", "t", name="n")
            asked = {"task_id": "t"}
            waiting = asyncio.create_task(
                client.call_tool("wait_for_task", asked, progress_handler=note)
            )
            await wait_until_async(lambda: told == ["received"], message=str(told))
            await server.tell("succeeded", "t")
            assert (await waiting).data.status == "success"


async def test_what_needs_a_token_needs_one_below_the_prefix(
    url: str, front: Front
) -> None:
    async with prefixed(url, front) as (_, public), httpx2.AsyncClient() as http:
        for path in ("mcp", "events", "api/v1/tasks"):
            assert (await http.get(public + path)).status_code == 401, path


async def test_who_comes_without_the_prefix_is_served_as_well(url: str) -> None:
    async with prefixed(url, plain(True)) as (server, _), httpx2.AsyncClient() as http:
        for path in ("", "healthz", "tools/herald/healthz"):
            assert (await http.get(server.url + path)).status_code == 200
        assert (await http.get(f"{server.url}mcp")).status_code == 401


async def test_the_prefix_alone_leads_to_the_page(url: str) -> None:
    async with prefixed(url, plain(False)) as (_, public), httpx2.AsyncClient() as http:
        answer = await http.get(public.rstrip("/"))
        assert (answer.status_code, answer.headers["location"]) == (
            308,
            "/tools/herald/",
        )


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("", ""), ("/", ""), ("herald", "/herald"), ("/a//b/", "/a/b")],
)
def test_a_prefix_is_taken_as_people_write_it(given: str, prefix: str) -> None:
    assert make_settings(root_path=given).root_path == prefix


@pytest.mark.parametrize("given", ["/api", "/ws/x", "/a b", "/a?b"])
def test_a_prefix_that_would_confuse_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="HERALD_ROOT_PATH: "):
        make_settings(root_path=given)
