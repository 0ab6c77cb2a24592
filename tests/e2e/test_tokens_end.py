"""Tokens while they are used: renewed, expired, revoked, and made of one another."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest

from herald_core.model.filters import Filter
from herald_server.auth.identity import Identity
from herald_server.auth.tokens.issuer import PURPOSE
from herald_server.auth.tokens.secret import derive_key
from herald_server.mcp.tasks_extension.extension import EXTENSION_ID as TASKS
from tests.support.celery.project import make_app
from tests.support.celery.secrets_project import all_of
from tests.support.clients.http import asking, refused
from tests.support.clients.mcp_json import Wire
from tests.support.clients.narrow_token import (
    HIDDEN,
    MINE,
    ONLY,
    ended,
    hidden,
    marks,
    mine,
)
from tests.support.clients.route_requests import minted
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, make_store, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


async def test_a_reader_of_the_store_finds_nothing_to_sign_tokens_with(
    url: str,
) -> None:
    secret = "a-secret-that-signs-tokens"
    async with serving(url, token_secret=secret) as server, asking(server) as ask:
        made = await ask.post("/api/v1/tokens", json={"label": "page"})
        token = made.json()["token"]
        stored = all_of(url)
        assert made.json()["id"] in stored
        key = derive_key(secret, PURPOSE)
        forms = (key.hex(), key.decode("utf-8", "replace"))
        for found in (TOKEN, secret, token.rpartition(".")[2], *forms):
            assert found not in stored


# -- until they end ----------------------------------------------------------------


async def test_another_token_on_an_open_socket_changes_what_is_told(url: str) -> None:
    async with serving(url) as server:
        await hidden(server, "started")
        await mine(server, "started")
        async with connected(server, minted(server)) as client:
            await client.say(type="subscribe", id="all")
            await wait_until_async(lambda: len(_ids(client.frames)) == 2)
            heard = len(client.frames)
            await client.say(type="auth", token=minted(server, task_filter=ONLY))
            await wait_until_async(lambda: _ids(client.frames[heard:]) == {MINE})
            resets = [f["reset"] for f in client.frames[heard:] if "reset" in f]
            assert resets == ["filter"]
            await hidden(server, "succeeded")
            await mine(server, "succeeded")
            await wait_until_async(lambda: "all" in ended(client.frames[heard:]))
            assert not marks(client.frames[heard:])
            await client.say(type="auth", token="wrong")
            assert (await client.closed())[0] == 4401


def _ids(frames: list[dict[str, Any]]) -> set[str]:
    return {one["id"] for f in frames if f["type"] == "data" for one in f["put"]}


@asynccontextmanager
async def _all_doors(
    server: Server, token: str
) -> AsyncGenerator[dict[str, asyncio.Task[Any]]]:
    """Come in at every door that stays open; each task returns how it was left."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        wire = Wire(http, f"{server.url}mcp", TASKS)
        begun = [asyncio.Event() for _ in range(4)]

        async def socket() -> Any:
            async with connected(server, token) as client:
                await client.say(type="subscribe", id="all")
                await client.heard("data")
                begun[0].set()
                return await client.closed()

        async def events() -> Any:
            said = ""
            async with http.stream("GET", f"{server.url}events") as answer:
                async for part in answer.aiter_text():
                    said += part
                    begun[1].set()
            return said

        async def listen() -> Any:
            asked = {"resourceSubscriptions": ["tasks://active"]}
            async with wire.stream("subscriptions/listen", notifications=asked) as more:
                with suppress(StopAsyncIteration):
                    while True:
                        await more()
                        begun[2].set()
            return "ended"

        async def poll() -> Any:
            begun[3].set()
            answer = await http.get(f"{server.url}api/v1/tasks/{MINE}/wait?timeout=30")
            return answer.status_code

        doors = (socket, events, listen, poll)
        tasks = {one.__name__: asyncio.create_task(one()) for one in doors}
        try:
            async with asyncio.timeout(30):
                for one in begun:
                    await one.wait()
            yield tasks
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _left(tasks: dict[str, asyncio.Task[Any]], why: str) -> None:
    async with asyncio.timeout(30):
        ended = {name: await task for name, task in tasks.items()}
    code, reason = ended["socket"]
    assert (code, why in reason) == (4401, True)
    assert '"close":4401' in ended["events"]
    assert why in ended["events"]
    assert ended["listen"] == "ended"
    assert ended["poll"] == 401


async def test_every_door_is_left_when_the_token_expires(url: str) -> None:
    async with serving(url) as server:
        await mine(server, "started")
        expires = time.time() + 1.2
        async with _all_doors(server, minted(server, expires=expires)) as tasks:
            await _left(tasks, "expired")
            assert expires <= time.time() < expires + 3


async def test_every_door_is_left_when_the_token_is_revoked(url: str) -> None:
    """At once at the process that is told, and soon at every other one."""
    prefix = f"{{revoking-{time.time_ns()}}}"
    async with (
        serving(url, store=make_store(url, prefix)) as server,
        serving(url, store=make_store(url, prefix)) as other,
        asking(server) as owner,
    ):
        await mine(server, "started")
        made = await owner.post("/api/v1/tokens", json={"ttl": 600})
        token, id_ = made.json()["token"], made.json()["id"]
        async with (
            _all_doors(server, token) as here,
            _all_doors(other, token) as there,
        ):
            answer = await owner.delete(f"/api/v1/tokens/{id_}")
            assert answer.json() == {"id": id_, "revoked": True}
            await _left(here, "revoked")
            await _left(there, "revoked")
            for one in (server, other):
                async with asking(one, {"Authorization": f"Bearer {token}"}) as ask:
                    refused(await ask.get("/api/v1/tasks"), 401, "revoked")
        assert (await owner.get("/api/v1/tokens")).json() == {"tokens": []}


async def test_a_call_of_a_tool_ends_when_its_token_is_revoked(url: str) -> None:
    """As a call without a valid token is answered, with the reason."""
    async with serving(url) as server, asking(server) as owner:
        await mine(server, "started")
        made = (await owner.post("/api/v1/tokens", json={"ttl": 600})).json()
        headers = {"Authorization": f"Bearer {made['token']}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            wire = Wire(http, f"{server.url}mcp")
            given = {"task_id": MINE, "timeout_s": 45}
            call = asyncio.create_task(
                wire("tools/call", name="wait_for_task", arguments=given)
            )
            hub = server.app.state.shared.hub
            await wait_until_async(lambda: hub.count_subscribers() > 0)
            await owner.delete(f"/api/v1/tokens/{made['id']}")
            answer = await asyncio.wait_for(call, 10)
        assert "revoked" in answer["error"]["message"], answer


# -- minting -----------------------------------------------------------------------


async def test_nobody_mints_more_than_they_have(url: str) -> None:
    async with serving(url) as server, asking(server) as owner:
        await hidden(server, "started")
        await mine(server, "started")
        wish = {"scopes": ["read"], "only": {"name": "reports.*"}, "ttl": "15m"}
        answer = await owner.post("/api/v1/tokens", json=wish)
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        made = answer.json()
        narrow = {"Authorization": f"Bearer {made['token']}"}
        async with asking(server, narrow) as ask:
            more = await ask.post("/api/v1/tokens", json={"scopes": ["read", "start"]})
            refused(more, 403, "your own token lacks the scope start")
            wide = await ask.post(
                "/api/v1/tokens", json={"ttl": 80_000, "only": {"ids": [HIDDEN, MINE]}}
            )
            child = wide.json()
            assert child["expires_at"] == made["expires_at"]
            assert child["by"] == [made["id"]]
            mine_only = await ask.get("/api/v1/tokens")
            assert {one["id"] for one in mine_only.json()["tokens"]} == {
                made["id"],
                child["id"],
            }
        async with asking(server, {"Authorization": f"Bearer {child['token']}"}) as ask:
            tasks = (await ask.get("/api/v1/tasks")).json()["tasks"]
            assert [task["id"] for task in tasks] == [MINE]
            gone = await ask.delete(f"/api/v1/tokens/{made['id']}")
            refused(gone, 404, "you have minted no token")
        # With a token goes all that was made from it.
        await owner.delete(f"/api/v1/tokens/{made['id']}")
        async with asking(server, {"Authorization": f"Bearer {child['token']}"}) as ask:
            refused(await ask.get("/api/v1/tasks"), 401, "revoked")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"scope": "read"}, "unknown key 'scope'"),
        ({"scopes": ["root"]}, "scopes must be a list of read, start, cancel, admin"),
        ({"scopes": []}, "scopes must be a list"),
        ({"only": {"nam": "x"}}, "did you mean 'name'"),
        ({"only": {}}, "only must be a filter"),
        ({"only": {"ids": None}}, "must have a key with a value"),
        ({"ttl": 0}, "ttl must be"),
        ({"ttl": "1y"}, "ttl must be"),
        ({"ttl": 31 * 86_400}, "ttl must be"),
        ({"label": "a/b"}, "label must be"),
    ],
)
async def test_a_wrong_wish_gets_a_sentence(
    url: str, wish: dict[str, Any], sentence: str
) -> None:
    async with serving(url) as server, asking(server) as owner:
        refused(await owner.post("/api/v1/tokens", json=wish), 400, sentence)


async def test_what_is_started_must_be_among_their_own(url: str) -> None:
    app = make_app(url, url)
    async with serving(url, celery=app) as server:
        token = minted(server, task_filter=Filter(tag=("mine",)))
        async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
            order: dict[str, Any] = {"task_type": "metrics_snapshot", "params": {}}
            answer = await ask.post("/api/v1/tasks", json=order)
            refused(answer, 403, "narrowed to some tasks")
            order["tags"] = ["mine"]
            answer = await ask.post("/api/v1/tasks", json=order)
            assert answer.status_code == 201
            started = answer.json()["task_id"]
            assert (await ask.get(f"/api/v1/tasks/{started}")).status_code == 200
    app.close()


def test_what_a_token_is_made_of_never_widens() -> None:
    from herald_server.auth.tokens.issuer import derive_identity

    owner = Identity("a", frozenset(["read"]), ONLY, expires=100.0, id="p")
    child = derive_identity(owner, frozenset(["read", "admin"]), Filter(), 999.0, "x")
    assert child.scopes == {"read"}
    assert child.expires == 100.0
    assert child.name == "a/x"
    assert child.issuers == ("p",)
    assert child.task_filter is not None
    assert child.task_filter.name == ONLY.name
