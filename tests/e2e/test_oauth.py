"""MCP clients find the issuer of tokens, get one, and learn why one is refused."""

import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from herald_server.auth.tokens import introspection
from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.clients.mcp_json import INITIALIZE
from tests.support.herald.server import Server, let_in, serving
from tests.support.oauth.client import MemoryStorage, authorize
from tests.support.oauth.provider import (
    INTROSPECTION_CLIENT,
    OAuthProvider,
    providing,
)
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

CHALLENGE = "www-authenticate"
NOBODY = "http://127.0.0.1:1/introspect"
PUBLIC_URL = "http://herald.test/herald"
WELL_KNOWN = ".well-known/oauth-protected-resource"


@asynccontextmanager
async def issued(
    valkey: PrivateValkey, *, opaque: bool = False, **settings: Any
) -> AsyncGenerator[tuple[OAuthProvider, Server]]:
    """Serve Herald and an issuer whose tokens are for `http://herald.test`."""
    async with providing(opaque=opaque) as issuer:
        keys: dict[str, Any] = {"jwt_jwks": f"{issuer.url}/jwks"}
        if opaque:
            client, secret = INTROSPECTION_CLIENT
            keys = {
                "introspection_url": f"{issuer.url}/introspect",
                "introspection_client_id": client,
                "introspection_client_secret": secret,
            }
        given: dict[str, Any] = {"public_url": PUBLIC_URL, **keys, **settings}
        async with serving(valkey.url, jwt_issuer=issuer.url, **given) as server:
            yield issuer, server


@asynccontextmanager
async def asking(token: str | None = None) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open an HTTP client that sends `token`."""
    headers = {"Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as http:
        yield http


async def test_the_description_names_the_issuer_and_the_scopes(
    module_valkey: PrivateValkey,
) -> None:
    async with issued(module_valkey) as (issuer, server), asking() as http:
        told = (await http.get(f"{server.url}{WELL_KNOWN}/mcp")).json()
        root = (await http.get(f"{server.url}{WELL_KNOWN}")).json()
        none = await http.get(f"{server.url}{WELL_KNOWN}/other")
    assert told == {
        "resource": "http://herald.test/herald/mcp",
        "authorization_servers": [issuer.url],
        "scopes_supported": ["read", "start", "cancel", "admin", "mark"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Herald",
    }
    assert root["resource"] == "http://herald.test/herald"
    assert none.status_code == 404


async def test_without_an_issuer_there_is_none_to_name(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking() as http:
        answer = await http.get(f"{server.url}{WELL_KNOWN}/mcp")
        refusal = await http.post(f"{server.url}mcp", json=INITIALIZE)
    assert answer.status_code == 404
    assert "HERALD_JWT_ISSUER" in answer.json()["detail"]
    assert refusal.headers["www-authenticate"] == 'Bearer realm="herald"'


async def test_a_refusal_says_where_to_get_a_token(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        issued(module_valkey, public_url=None, jwt_audience="herald") as (_, server),
        asking() as http,
    ):
        refusal = await http.post(f"{server.url}mcp", json=INITIALIZE)
    assert refusal.status_code == 401
    assert refusal.headers["www-authenticate"] == (
        'Bearer realm="herald", scope="read start cancel", '
        f'resource_metadata="{server.url}{WELL_KNOWN}/mcp"'
    )


async def test_an_issuer_may_name_scopes_with_a_prefix(
    module_valkey: PrivateValkey,
) -> None:
    scopes = "herald:read,offline_access"
    async with (
        issued(module_valkey, oauth_scopes=scopes) as (_, server),
        asking() as http,
    ):
        told = (await http.get(f"{server.url}{WELL_KNOWN}/mcp")).json()
        refusal = await http.post(f"{server.url}mcp", json=INITIALIZE)
    assert told["scopes_supported"][0] == "herald:read"
    assert told["scopes_supported"][-1] == "offline_access"
    assert 'scope="herald:read offline_access"' in refusal.headers["www-authenticate"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("opaque", [False, True])
async def test_a_client_registers_and_connects_and_asks_for_more(
    mode: str, opaque: bool, module_valkey: PrivateValkey
) -> None:
    """The whole way of a client that knows only the address of Herald."""
    bound = listen("127.0.0.1", 0)
    public_url = format_url(bound)
    async with issued(
        module_valkey, opaque=opaque, bound=bound, public_url=public_url
    ) as (issuer, server):
        url = f"{server.url}mcp"
        auth = authorize(url, MemoryStorage())
        async with (
            httpx2.AsyncClient(trust_env=False, auth=auth, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            listed = await client.list_tools()
            # Also what it has no scope for yet: it can ask for that.
            names = {tool.name for tool in listed.tools}
            assert {"wait_for_task", "list_webhooks"} <= names
            assert issuer.requested == ["read start cancel"]
            await client.call_tool("list_webhooks", {})
    # The tool needs `admin`, so the client asked its user for that as well.
    assert [set(one.split()) for one in issuer.requested[1:]] == [
        {"read", "start", "cancel", "admin"}
    ]


@pytest.mark.parametrize("opaque", [False, True])
async def test_a_token_for_another_resource_is_refused(
    opaque: bool, module_valkey: PrivateValkey
) -> None:
    """RFC 8707: otherwise another server could use the token of its client here."""
    async with issued(module_valkey, opaque=opaque) as (issuer, server):
        url = f"{server.url}api/v1/stats"
        for audience, status in (
            ("http://herald.test/herald/mcp", 200),
            ("http://herald.test/herald", 200),
            ("http://herald.test/other", 401),
            ("http://herald.test/herald/env/staging/mcp", 401),
        ):
            async with asking(issuer.sign(scope="read", aud=audience)) as http:
                answer = await http.get(url)
            assert answer.status_code == status, audience
        told = answer.headers["www-authenticate"]
        assert 'error="invalid_token"' in told
        assert "request one for http://herald.test/herald" in told


async def test_an_unknown_token_is_called_invalid(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking("rotten") as http:
        refusal = await http.post(f"{server.url}mcp", json=INITIALIZE)
    assert refusal.headers["www-authenticate"] == (
        'Bearer realm="herald", error="invalid_token", '
        'error_description="a valid token is needed"'
    )


async def test_a_missing_scope_is_named_with_those_there_are(
    module_valkey: PrivateValkey,
) -> None:
    async with issued(module_valkey) as (issuer, server):
        token = issuer.sign(scope="read", aud="http://herald.test/herald")
        async with asking(token) as http:
            refusal = await http.post(f"{server.url}api/v1/tasks", json={})
    assert refusal.status_code == 403
    told = refusal.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in told
    assert 'scope="read start"' in told


async def test_what_the_issuer_revokes_is_refused_with_the_reason(
    module_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection, "CACHE_TTL_S", 0.0)
    async with issued(module_valkey, opaque=True) as (issuer, server):
        token = issuer.sign(scope="read", aud="http://herald.test/herald")
        async with asking(token) as http:
            url = f"{server.url}api/v1/stats"
            assert (await http.get(url)).status_code == 200
            issuer.tokens.clear()
            refusal = await http.get(url)
    assert refusal.status_code == 401
    assert "not active" in refusal.headers["www-authenticate"]


async def test_an_issuer_is_asked_once_for_many_requests(
    module_valkey: PrivateValkey,
) -> None:
    async with issued(module_valkey, opaque=True) as (issuer, server):
        token = issuer.sign(scope="read", aud="http://herald.test/herald")
        async with asking(token) as http:
            for _ in range(3):
                await http.get(f"{server.url}api/v1/stats")
        assert issuer.questions == 1


async def test_while_the_issuer_is_away_clients_are_to_try_again(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        issued(module_valkey, opaque=True, introspection_url=NOBODY) as (_, server),
        asking("some-token") as http,
    ):
        refusal = await http.get(f"{server.url}api/v1/stats")
        probe = await http.get(f"{server.url}healthz")
    assert (refusal.status_code, probe.status_code) == (503, 200)
    assert refusal.headers["retry-after"] == "5"
    assert "does not answer" in refusal.json()["detail"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_waiting_call_is_told_that_its_token_expired(
    mode: str, module_valkey: PrivateValkey
) -> None:
    async with serving(module_valkey.url) as server:
        await server.tell("received", "t1", name="a.b")
        until = time.time() + 3
        let_in(server, "short", name="short", expires=until)
        async with (
            asking("short") as http,
            Client(
                streamable_http_client(f"{server.url}mcp", http_client=http), mode=mode
            ) as client,
        ):
            with pytest.raises(MCPError) as told:
                await client.call_tool("wait_for_task", {"task_id": "t1"})
    assert "the token has expired" in str(told.value)


async def test_an_environment_is_a_resource_of_its_own(
    module_valkey: PrivateValkey,
) -> None:
    others = {"staging": {"broker": "memory://", "store": module_valkey.url}}
    async with (
        issued(
            module_valkey, public_url=None, jwt_audience="herald", environments=others
        ) as (_, server),
        asking() as http,
    ):
        below = f"{server.url}env/staging/mcp"

        async def is_up() -> bool:
            return (await http.post(below, json=INITIALIZE)).status_code == 401

        await wait_until_async(is_up)
        refusal = await http.post(below, json=INITIALIZE)
        named = re.findall('resource_metadata="(.*)"', refusal.headers[CHALLENGE])
        derived = f"{server.url}{WELL_KNOWN}/env/staging/mcp"
        for address in (*named, derived):
            assert (await http.get(address)).json()["resource"] == below
        none = await http.get(f"{server.url}{WELL_KNOWN}/env/none/mcp")
        assert none.status_code == 404


async def test_behind_a_prefix_it_is_found_by_both_addresses(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        issued(
            module_valkey, public_url=None, jwt_audience="x", root_path="/herald"
        ) as (_, server),
        asking() as http,
    ):
        refusal = await http.post(f"{server.url}herald/mcp", json=INITIALIZE)
        named = re.findall('resource_metadata="(.*)"', refusal.headers[CHALLENGE])
        assert named == [f"{server.url}herald/{WELL_KNOWN}/mcp"]
        for address in (*named, f"{server.url}{WELL_KNOWN}/herald/mcp"):
            told = (await http.get(address)).json()
            assert told["resource"] == f"{server.url}herald/mcp"
