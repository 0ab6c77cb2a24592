"""Webhooks over REST, MCP and herald.toml, through a whole server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from standardwebhooks import Webhook

from herald_core.model.filters import Filter
from herald_server.webhooks.endpoint import parse_endpoint
from herald_server.webhooks.repository import MAX_ENDPOINTS, WebhookRepository
from herald_server.webhooks.signing import make_secret
from tests.support.clients.webhook_receiver import receiving
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ALLOW: Any = {"webhooks_allow": ("127.0.0.1",)}


async def ask(
    server: Server, method: str, path: str = "", body: Any = None, token: str = TOKEN
) -> tuple[int, Any]:
    """Send a request; return the status and what was answered."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as one:
        url = f"{server.url}api/v1/webhooks{path}"
        answer = await one.request(method, url, json=body)
    return answer.status_code, answer.json() if answer.content else None


async def test_an_endpoint_lives_from_post_to_delete(
    module_valkey: PrivateValkey,
) -> None:
    async with receiving() as receiver, serving(module_valkey.url, **ALLOW) as server:
        wish = {"url": receiver.url, "filter": {"name": "shop.*"}, "on": "FAILURE"}
        status, made = await ask(server, "POST", body=wish)
        assert (status, made["on"]) == (201, ["FAILURE"])
        await server.tell("received", "t1", "t2", name="shop.pay")
        await server.tell("failed", "t1")
        await wait_until_async(lambda: receiver.requests, message="it is told")
        heard = receiver.requests[0]
        told = Webhook(made["secret"]).verify(heard.body, heard.headers)
        assert (told["type"], told["data"]["id"]) == ("task.failed", "t1")
        _, listed = await ask(server, "GET")
        (shown,) = listed["webhooks"]
        assert shown["id"] == made["id"]
        assert made["secret"] not in str(listed)
        path = f"/{made['id']}"
        assert await ask(server, "POST", f"{path}/replay") == (202, {"replayed": []})
        assert await ask(server, "GET", f"{path}/dead") == (200, {"dead": []})
        assert await ask(server, "DELETE", path) == (204, None)
        status, problem = await ask(server, "GET", path)
        assert (status, "there is no webhook" in problem["detail"]) == (404, True)
        assert await server.store.get_items("webhook") == {}


async def test_only_admins_who_see_everything_are_let_in(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        let_in(server, "no-admin", scopes=frozenset(["read", "start", "cancel"]))
        let_in(server, "narrow", task_filter=Filter(name=("shop.*",)))
        for token in ("no-admin", "narrow"):
            for method, path in [
                *(("POST", ""), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")),
                *(("GET", "/x/dead"), ("POST", "/x/replay")),
                *(("POST", "/x/rotate"), ("POST", "/x/enable")),
            ]:
                status, _ = await ask(server, method, path, token=token)
                assert status == 403, (token, method, path)


INSIDE = "which is no public address"
REFUSED: list[tuple[dict[str, str], str]] = [
    ({}, "url must be a text"),
    ({"url": "http://localhost:1/"}, INSIDE),
    ({"url": "http://169.254.169.254/latest"}, INSIDE),
    ({"url": "http://[::ffff:10.0.0.1]/"}, INSIDE),
    ({"url": "http://0x7f.1/"}, INSIDE),
    ({"url": "http://nowhere.invalid/"}, "does not resolve"),
]


async def test_what_leads_nowhere_or_inside_is_refused(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        for body, part in REFUSED:
            status, problem = await ask(server, "POST", body=body)
            assert (status, part in problem["detail"]) == (400, True), problem


async def test_there_is_a_bound_on_how_many_there_may_be(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url, **ALLOW) as server:
        for n in range(MAX_ENDPOINTS):
            made = parse_endpoint({"url": f"http://127.0.0.1:1/{n}"}, "2026")
            await WebhookRepository(server.store).put(made)
        status, problem = await ask(server, "POST", body={"url": "http://127.0.0.1:1/"})
        assert (status, "delete one first" in problem["detail"]) == (400, True)
        _, listed = await ask(server, "GET")
        assert len(listed["webhooks"]) == MAX_ENDPOINTS


async def test_endpoints_of_the_file_are_told_and_changed_only_there(
    module_valkey: PrivateValkey, tmp_path: Path
) -> None:
    secret = make_secret()
    async with receiving() as receiver:
        path = tmp_path / "herald.toml"
        path.write_text(
            f'[webhooks.alerts]\nurl = "{receiver.url}"\nsecret = "{secret}"\n'
        )
        async with serving(module_valkey.url, catalog=path, **ALLOW) as server:
            await wait_until_async(
                lambda: server.store.get_item("webhook-state", "alerts")
            )
            await server.tell("succeeded", "t1")
            await wait_until_async(lambda: receiver.requests, message="it is told")
            Webhook(secret).verify(
                receiver.requests[0].body, receiver.requests[0].headers
            )
            status, problem = await ask(server, "DELETE", "/alerts")
    assert (status, "stands in herald.toml" in problem["detail"]) == (400, True)


async def test_a_model_registers_sees_and_deletes(module_valkey: PrivateValkey) -> None:
    async with receiving() as receiver, serving(module_valkey.url, **ALLOW) as server:
        transport = StreamableHttpTransport(
            f"{server.url}mcp", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        async with Client(transport) as client:
            made: Any = await client.call_tool(
                "register_webhook", {"url": receiver.url, "on": "states"}
            )
            await server.tell("received", "t1")
            await wait_until_async(lambda: receiver.requests, message="it is told")
            Webhook(made.data.secret).verify(
                receiver.requests[0].body, receiver.requests[0].headers
            )
            listed: Any = await client.call_tool("list_webhooks", {})
            assert listed.data.webhooks[0].url == receiver.url
            await client.call_tool(
                "delete_webhook", {"webhook_id": made.data.webhook_id}
            )
            listed = await client.call_tool("list_webhooks", {})
            assert listed.data.total == 0
