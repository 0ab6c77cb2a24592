"""Herald as the authorization server of MCP clients, for a provider of OpenID Connect
at which they cannot register."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.clients.mcp_json import INITIALIZE
from tests.support.herald.server import Server, make_store, serving
from tests.support.oauth.client import MemoryStorage, authorize, visit_as
from tests.support.servers.redis import PrivateValkey
from tests.support.sso.provider import run_provider

pytestmark = pytest.mark.anyio

PEOPLE = {"ann": ["sre"], "bob": ["dev"], "eve": ["sales"]}
GROUPS = """
[sso.groups]
sre = ["read", "cancel", "admin"]
dev = { scopes = ["read"], only = { name = "reports.*" } }
"""
CLIENT = {
    "client_name": "an agent",
    "redirect_uris": ["http://127.0.0.1:1/callback"],
    "token_endpoint_auth_method": "none",
}


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_TEST_SSO_SECRET", "a secret of the tests")


@pytest.fixture(scope="module")
def issuer() -> Generator[str]:
    with run_provider(PEOPLE) as url:
        yield url


class Place:
    """A server that can be started again at the same address, with its store."""

    def __init__(
        self, folder: Path, issuer: str, more: str = "", store: Store | None = None
    ) -> None:
        self.store = store or MemoryStore()
        with listen("127.0.0.1", 0) as bound:
            self.url = format_url(bound).rstrip("/")
        self._port = int(self.url.rpartition(":")[2])
        self.path = folder / "herald.toml"
        self.path.write_text(
            f'[sso]\nissuer = "{issuer}"\nclient_id = "herald"\nmcp_proxy = true\n'
            f'client_secret_env = "HERALD_TEST_SSO_SECRET"\n{more}\n{GROUPS}'
        )

    @asynccontextmanager
    async def serve(self, **more: Any) -> AsyncGenerator[Server]:
        """Serve until the block ends."""
        given: dict[str, Any] = {"catalog": self.path, "public_url": self.url, **more}
        bound: socket = listen("127.0.0.1", self._port)
        async with serving("", store=self.store, bound=bound, **given) as server:
            yield server


@asynccontextmanager
async def connecting(
    place: Place, storage: MemoryStorage, name: str, pages: list[str] | None = None
) -> AsyncGenerator[Client]:
    """Connect an MCP client that knows only the address, for the person `name`."""
    url = f"{place.url}/mcp"
    auth = authorize(url, storage, visit_as(name, [] if pages is None else pages))
    async with (
        httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def test_a_client_registers_here_and_its_user_agrees_and_signs_in(
    issuer: str, tmp_path: Path
) -> None:
    place, storage, pages = Place(tmp_path, issuer), MemoryStorage(), list[str]()
    async with (
        place.serve() as server,
        connecting(place, storage, "bob", pages) as client,
    ):
        names = {tool.name for tool in (await client.list_tools()).tools}
        await server.tell("received", "a", name="reports.make")
        await server.tell("received", "b", name="mail.send")
        seen = await client.call_tool("list_active_tasks", {"detail": "full"})
    assert len(pages) == 1
    assert "a test" in pages[0]
    assert "gofastmcp.com/assets" not in pages[0], "it loads from elsewhere"
    assert "wait_for_task" in names
    assert "list_webhooks" not in names
    assert "reports.make" in str(seen)
    assert "mail.send" not in str(seen)


async def test_a_client_asks_its_user_for_more_only_if_the_group_has_it(
    issuer: str, tmp_path: Path
) -> None:
    place = Place(tmp_path, issuer)
    async with place.serve():
        for name, is_refused, asked in (("bob", True, 1), ("ann", False, 2)):
            pages = list[str]()
            async with connecting(place, MemoryStorage(), name, pages) as client:
                # It needs `admin`, which no client requests at first.
                found = await client.call_tool("list_webhooks", {})
            assert (found.is_error, len(pages)) == (is_refused, asked), name


async def test_a_restart_keeps_a_client_signed_in(
    issuer: str, tmp_path: Path, module_valkey: PrivateValkey
) -> None:
    place = Place(tmp_path, issuer, store=make_store(module_valkey.url))
    storage, pages = MemoryStorage(), list[str]()
    async with place.serve(), connecting(place, storage, "ann", pages) as client:
        await client.list_tools()
    assert storage.tokens
    first = storage.tokens.access_token
    async with place.serve() as server:
        async with connecting(place, storage, "ann", pages) as client:
            await client.list_tools()
        assert storage.tokens.access_token == first
        answer = await refresh(server, storage)
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] != first
        again = await refresh(server, storage)
        assert again.json()["error"] == "invalid_grant"
    assert len(pages) == 1


async def test_one_process_goes_on_with_what_another_began(
    issuer: str, tmp_path: Path, module_valkey: PrivateValkey
) -> None:
    stores = [make_store(module_valkey.url, "{two-processes}") for _ in range(2)]
    place, storage = Place(tmp_path, issuer, store=stores[0]), MemoryStorage()
    async with (
        place.serve(),
        serving(
            "",
            store=stores[1],
            catalog=place.path,
            public_url=place.url,
        ) as other,
    ):
        async with connecting(place, storage, "ann") as client:
            await client.list_tools()
        assert storage.tokens
        bearer = {"Authorization": f"Bearer {storage.tokens.access_token}"}
        async with httpx2.AsyncClient(trust_env=False, headers=bearer) as http:
            answer = await http.get(f"{other.url}api/v1/page")
        assert answer.json()["caller"]["name"] == "oauth:ann"
        renewed = await refresh(other, storage)
        assert renewed.status_code == 200, renewed.text


async def test_a_client_signs_its_user_in_below_a_path(
    issuer: str, tmp_path: Path
) -> None:
    place, storage = Place(tmp_path, issuer), MemoryStorage()
    place.url += "/herald"
    async with (
        place.serve(root_path="/herald"),
        connecting(place, storage, "ann") as client,
    ):
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert "wait_for_task" in names


async def refresh(server: Server, storage: MemoryStorage) -> httpx2.Response:
    assert storage.tokens
    assert storage.client
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.post(
            f"{server.url}oauth/token",
            data={
                "grant_type": "refresh_token",
                "refresh_token": storage.tokens.refresh_token,
                "client_id": storage.client.client_id,
            },
        )


async def test_who_is_in_no_group_is_told_so(issuer: str, tmp_path: Path) -> None:
    place, pages = Place(tmp_path, issuer), list[str]()
    url = f"{place.url}/mcp"
    auth = authorize(url, MemoryStorage(), visit_as("eve", pages))
    async with (
        place.serve(),
        httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30) as http,
    ):
        answer = await http.post(url, json=INITIALIZE)
    assert (answer.status_code, len(pages)) == (403, 1)
    assert "eve is in none of the groups" in answer.json()["detail"]


async def test_nobody_is_signed_in_without_having_agreed_in_this_browser(
    issuer: str, tmp_path: Path
) -> None:
    place, pages = Place(tmp_path, issuer), list[str]()

    async def go(address: str) -> str:
        async with httpx2.AsyncClient(trust_env=False) as browser:
            asked = await browser.get(address)
            pages.append(asked.headers["location"])
            page = await browser.get(pages[0])
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        async with httpx2.AsyncClient(trust_env=False) as other:
            answer = await other.post(pages[0], data={**form, "action": "approve"})
        raise PermissionError(answer.status_code)

    auth = authorize(f"{place.url}/mcp", MemoryStorage(), go)
    async with place.serve(), httpx2.AsyncClient(trust_env=False, auth=auth) as http:
        with pytest.raises(PermissionError) as told:
            await http.post(f"{place.url}/mcp", json=INITIALIZE)
    assert told.value.args == (403,)
    assert pages[0].startswith(f"{place.url}/oauth/consent?")


async def test_the_description_names_this_server(issuer: str, tmp_path: Path) -> None:
    place = Place(tmp_path, issuer)
    async with place.serve(), httpx2.AsyncClient(trust_env=False) as http:
        known = f"{place.url}/.well-known"
        resource = (await http.get(f"{known}/oauth-protected-resource/mcp")).json()
        told = (await http.get(f"{known}/oauth-authorization-server")).json()
        none = await http.get(f"{known}/oauth-authorization-server/other")
    assert resource["authorization_servers"] == [told["issuer"]] == [f"{place.url}/"]
    assert told["registration_endpoint"] == f"{place.url}/oauth/register"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert "revocation_endpoint" not in told
    assert none.status_code == 404


async def test_a_client_is_on_this_machine_or_where_the_settings_say(
    issuer: str, tmp_path: Path
) -> None:
    more = 'mcp_redirects = ["https://agents.example/callback"]'
    place, told = Place(tmp_path, issuer, more), dict[str, int]()
    async with place.serve(), httpx2.AsyncClient(trust_env=False) as http:
        for redirect in (
            "http://localhost:5000/callback",
            "https://agents.example/callback",
            "https://evil.example/callback",
            "http://evil.example/callback",
            "http://localhost@evil.example/callback",
        ):
            wanted = {**CLIENT, "redirect_uris": [redirect]}
            answer = await http.post(f"{place.url}/oauth/register", json=wanted)
            told[redirect] = answer.status_code
        slash = await http.post(f"{place.url}/oauth/register/", json=CLIENT)
    assert list(told.values()) == [201, 201, 400, 400, 400], told
    assert slash.status_code == 201


async def test_a_user_is_sent_back_only_to_where_the_client_registered(
    issuer: str, tmp_path: Path
) -> None:
    more = 'mcp_redirects = ["https://agents.example/*"]'
    place, told = Place(tmp_path, issuer, more), dict[tuple[str, str], int]()
    async with place.serve(), httpx2.AsyncClient(trust_env=False) as http:
        local = await register(http, place, "http://127.0.0.1:5000/callback")
        remote = await register(http, place, "https://agents.example/mine")
        for client, redirect in (
            (local, "http://127.0.0.1:5000/callback"),
            (local, "http://127.0.0.1:6000/callback"),
            (local, "http://127.0.0.1:5000/other"),
            (local, "http://127.0.0.1:5000/callback?more=1"),
            (local, "http://localhost:5000/callback"),
            (local, "https://agents.example/mine"),
            (remote, "https://agents.example/mine"),
            (remote, "https://agents.example/mine/../other"),
            (remote, "https://agents.example:444/mine"),
            (remote, "http://127.0.0.1:5000/callback"),
        ):
            told[client, redirect] = await begin(http, place, client, redirect)
        nowhere = await http.post(
            f"{place.url}/oauth/register", json={**CLIENT, "redirect_uris": None}
        )
    good = {
        (local, "http://127.0.0.1:5000/callback"),
        (local, "http://127.0.0.1:6000/callback"),
        (remote, "https://agents.example/mine"),
    }
    assert {one for one, status in told.items() if status == 302} == good, told
    assert nowhere.json()["error"] in (
        "invalid_redirect_uri",
        "invalid_client_metadata",
    )


async def test_a_client_whose_address_is_no_longer_allowed_is_refused(
    issuer: str, tmp_path: Path
) -> None:
    redirect = "https://agents.example/mine"
    place = Place(tmp_path, issuer, f'mcp_redirects = ["{redirect}"]')
    async with httpx2.AsyncClient(trust_env=False) as http:
        async with place.serve():
            client = await register(http, place, redirect)
            assert await begin(http, place, client, redirect) == 302
        place.path.write_text(place.path.read_text().replace(redirect, f"{redirect}2"))
        async with place.serve():
            assert await begin(http, place, client, redirect) == 400


async def register(http: httpx2.AsyncClient, place: Place, redirect: str) -> str:
    wanted = {**CLIENT, "redirect_uris": [redirect]}
    answer = await http.post(f"{place.url}/oauth/register", json=wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["client_id"])


async def begin(
    http: httpx2.AsyncClient, place: Place, client: str, redirect: str
) -> int:
    """Return the status with which a client's user is sent to sign in."""
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "state": "s",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    answer = await http.get(f"{place.url}/oauth/authorize", params=asked)
    return answer.status_code


async def test_while_the_provider_is_away_only_signing_in_is_not_possible(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, "http://127.0.0.1:1")
    async with place.serve(), httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{place.url}/oauth/register", json=CLIENT)
        probe = await http.get(f"{place.url}/healthz")
    assert (answer.status_code, probe.status_code) == (503, 200)
    assert "did not answer" in answer.json()["detail"]
