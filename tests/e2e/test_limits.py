"""What one client may ask of a server, and how it is told that this is all."""

import asyncio
import json
import math
import time
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fastmcp import Client

from herald_server.auth.identity import Identity
from herald_server.auth.quotas.cpu_budget import BURST_S, MAX_DEBT_S
from herald_server.push.protocol.limits import Limits
from tests.support.celery.project import make_app
from tests.support.clients.http import WITH_TOKEN, asking, refused
from tests.support.clients.route_requests import minted
from tests.support.clients.websocket import connected
from tests.support.herald.mcp_environment import refused as tool_refused
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.nginx import nginx
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ORDER = {"task_type": "metrics_snapshot"}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


async def counted(server: Server) -> dict[str, int]:
    """Return what was refused, by reason, as the metrics tell it."""
    async with asking(server) as ask:
        text = (await ask.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("herald_refused")]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


async def test_a_token_starts_so_many_a_minute(url: str) -> None:
    app = make_app(url, url)
    async with (
        serving(url, celery=app, starts_per_minute=2) as server,
        asking(server) as ask,
    ):
        for _ in range(2):
            assert (await ask.post("/api/v1/tasks", json=ORDER)).status_code == 201
        answer = await ask.post("/api/v1/tasks", json=ORDER)
        refused(answer, 429, "over 2 starts a minute of this token")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        async with Client(f"{server.url}mcp", auth=TOKEN) as agent:
            said = await tool_refused(agent, "start_background_task", **ORDER)
            assert "over 2 starts a minute" in said
            members = {"tasks": [ORDER] * 3}
            said = await tool_refused(agent, "start_task_group", **members)
            assert "3 starts at once are over the 2" in said
        let_in(server, "another-token")
        async with asking(server, {"Authorization": "Bearer another-token"}) as other:
            assert (await other.post("/api/v1/tasks", json=ORDER)).status_code == 201
        # Those that were made from it count as it does.
        child = {"Authorization": f"Bearer {minted(server, name='owner/child')}"}
        async with asking(server, child) as more:
            answer = await more.post("/api/v1/tasks", json=ORDER)
            refused(answer, 429, "over 2 starts a minute")
        assert await counted(server) == {"starts_token": 4}
    app.close()


async def test_a_token_mints_so_many_a_minute(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "herald_server.auth.quotas.start_limits.MAX_MINTS_PER_MINUTE", 2
    )
    async with serving(url) as server, asking(server) as ask:
        ids = [(await ask.post("/api/v1/tokens", json={})).json()["id"] for _ in "ab"]
        refused(await ask.post("/api/v1/tokens", json={}), 429, "2 tokens a minute")
        answer = await ask.delete(f"/api/v1/tokens/{ids[0]}")
        refused(answer, 429, "2 tokens a minute")
        assert await counted(server) == {"mints": 2}


async def test_a_type_is_started_so_often_a_minute_by_all(url: str) -> None:
    app = make_app(url, url)
    async with serving(url, celery=app, starts_per_minute_per_type=1) as server:
        let_in(server, "another-token")
        async with asking(server) as ask:
            assert (await ask.post("/api/v1/tasks", json=ORDER)).status_code == 201
        async with asking(server, {"Authorization": "Bearer another-token"}) as other:
            answer = await other.post("/api/v1/tasks", json=ORDER)
            refused(answer, 429, "starts a minute of tasks named")
        assert await counted(server) == {"starts_type": 1}
    app.close()


async def test_what_is_too_big_is_refused_and_counted(url: str) -> None:
    often = 100_000  # so that each subscribe may come at once
    small = Limits(subs=1, snapshot=1, in_bytes=1_000, subscribes_per_s=often)
    async with (
        serving(url, limits=small) as server,
        asking(server) as ask,
        connected(server) as client,
    ):
        await server.tell("received", "a", "b")
        refused(await ask.post("/api/v1/tokens", content=b" " * 300_000), 413, "bytes")
        refused(await ask.post("/mcp", content=b" " * 300_000), 413, "bytes")
        many = b'{"params": [' + b"[]," * 20_000 + b"[]]}"
        refused(await ask.post("/mcp", content=many), 413, "20000 lists and objects")
        await client.say(type="subscribe", id="all")
        await client.heard("error", 1)
        await client.say(type="subscribe", id="a", filter={"ids": ["a"]})
        await client.say(type="subscribe", id="b", filter={"ids": ["b"]})
        await client.say(type="subscribe", id="x" * 2_000)
        told = await client.heard("error", 3)
        codes = [error["code"] for error in told]
        assert codes == ["too_broad", "too_many", "too_big"]
        assert await counted(server) == {"body": 3, **dict.fromkeys(codes, 1)}


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop count as behind always, and nobody be patient."""
    monkeypatch.setattr("herald_server.auth.quotas.cpu_queue.MAX_LATENESS_S", -1.0)
    monkeypatch.setattr("herald_server.auth.quotas.cpu_queue.MAX_WAIT_S", 0.05)


def spent(server: Server, name: str) -> None:
    """Let the token of `name` have taken all of its CPU time, and more."""
    accounts = server.app.state.shared.accounts
    accounts.for_identity(Identity(name)).charge(100.0, time.monotonic())


LITTLE = 0.01
"""Seconds of CPU time a second: a debt of one second is not paid within a test."""


@pytest.mark.usefixtures("crowded")
async def test_a_token_that_took_too_much_cpu_time_is_refused_and_no_other(
    url: str,
) -> None:
    async with serving(url, cpu_per_token=LITTLE) as server:
        spent(server, "owner/greedy")
        greedy = {"Authorization": f"Bearer {minted(server, name='owner/greedy')}"}
        child = {"Authorization": f"Bearer {minted(server, name='owner/greedy/x')}"}
        for headers in (greedy, child):
            async with asking(server, headers) as ask:
                answer = await ask.get("/api/v1/tasks")
                refused(answer, 429, "requests of this token took too much CPU time")
                assert 1 <= int(answer.headers["retry-after"]) <= 100
                answer = await ask.post("/mcp", json={})
                refused(answer, 429, "too much CPU time")
                assert (await ask.get("/healthz")).status_code == 200
        async with asking(server) as other:
            assert (await other.get("/api/v1/tasks")).status_code == 200
        assert await counted(server) == {"cpu": 4}


@pytest.mark.usefixtures("crowded")
async def test_requests_without_a_token_are_refused_and_those_with_one_are_not(
    url: str,
) -> None:
    async with serving(url, cpu_per_address=LITTLE) as server:
        accounts = server.app.state.shared.accounts
        accounts.for_address("127.0.0.1").charge(100.0, time.monotonic())
        async with asking(server, {}) as stranger:
            answer = await stranger.get("/asyncapi.json")
            refused(answer, 429, "of this address, without a token,")
            assert (await stranger.get("/readyz")).status_code != 429
        async with asking(server) as ask, connected(server) as client:
            assert (await ask.get("/api/v1/tasks")).status_code == 200
            await client.heard("hello")


async def test_work_is_charged_to_who_asks_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_server.auth.quotas.cpu_budget.GRANT_SIZE_S", 0.0)
    async with serving(url, cpu_per_token=1e-6) as server:
        account = server.app.state.shared.accounts.for_identity(Identity("owner"))
        account.charge(BURST_S, time.monotonic())
        assert not account.compute_debt(time.monotonic())
        async with asking(server) as ask:
            await ask.get("/asyncapi.json")
        assert 0 < account.compute_debt(time.monotonic()) < MAX_DEBT_S


@pytest.mark.usefixtures("crowded")
async def test_a_snapshot_waits_while_what_else_is_said_is_answered(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_server.push.session.snapshots.TURN_TIMEOUT_S", 0.05)
    monkeypatch.setattr(
        "herald_server.push.connection.connection.MESSAGE_TIMEOUT_S", 0.05
    )
    async with (
        serving(url, cpu_per_token=LITTLE) as server,
        connected(server) as client,
    ):
        await client.heard("hello")
        spent(server, "owner")
        await client.say(type="subscribe", id="s")
        await client.say(type="ping")
        await client.heard("pong")
        assert not client.of("data")
        # Its time is wanted by nobody else any more.
        monkeypatch.setattr(
            "herald_server.auth.quotas.cpu_queue.MAX_LATENESS_S", math.inf
        )
        await client.heard("data")


async def test_only_so_many_may_watch_at_once(url: str) -> None:
    async with serving(url, max_connections=1) as server, connected(server) as first:
        await first.heard("hello")
        async with connected(server) as second:
            code, reason = await second.closed()
            assert (code, "come back later" in reason) == (4009, True)
        async with asking(server) as ask:
            answer = await ask.get("/events")
            refused(answer, 503, "come back later")
            assert answer.headers["retry-after"] == "5"
        assert await counted(server) == {"full": 2}


async def test_a_token_leaves_a_tenth_of_all_connections_to_others(url: str) -> None:
    async with serving(url, max_connections=10) as server, AsyncExitStack() as opened:
        let_in(server, "another-token")
        account = server.app.state.shared.accounts.for_identity(Identity("owner"))
        crowd = [await opened.enter_async_context(connected(server)) for _ in range(9)]
        await wait_until_async(lambda: account.connections == 9)
        async with connected(server) as one_more, asking(server) as ask:
            code, reason = await one_more.closed()
            assert code == 4009
            assert "this token has as many connections as it may" in reason
            refused(await ask.get("/events"), 503, "this token has as many connections")
            assert (await ask.get("/api/v1/stats")).status_code == 200
        async with connected(server, "another-token") as other:
            await other.heard("hello")
        await crowd[0].socket.close()
        await wait_until_async(lambda: account.connections == 8)
        async with connected(server) as again:
            await again.heard("hello")
        await opened.aclose()
        await wait_until_async(lambda: account.connections == 0)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n{",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
        b"Content-Type: application/json\r\n"
        b"Accept: application/json, text/event-stream\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body", "half a message"],
)
async def test_a_request_that_does_not_arrive_is_given_up(
    url: str, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(url, request_timeout=0.2) as server:
        place = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(begun)
        async with asyncio.timeout(30):
            said = await reader.read()
        writer.close()
        assert said.startswith(b"HTTP/1.1 408 ")
        assert await counted(server) == {"slow": 1}
    assert not [r for r in caplog.records if r.exc_info], caplog.text


async def test_waiting_for_an_answer_is_no_slow_request(url: str) -> None:
    async with serving(url, request_timeout=0.1) as server, asking(server) as ask:
        await server.tell("received", "t", name="n")
        wait = asyncio.create_task(ask.get("/api/v1/tasks/t/wait?timeout=1"))
        async with connected(server) as client:
            await client.heard("hello")
            assert (await wait).json()["timed_out"] is True
            await client.say(type="ping")
            await client.heard("pong")
        assert await counted(server) == {}


# -- where requests come from ------------------------------------------------------


async def _address(server: Server, ask: httpx2.AsyncClient, **headers: str) -> str:
    """Return where an order came from, as the audit log has it."""
    made = await ask.post("api/v1/tokens", json={}, headers=headers)
    assert made.status_code == 201, made.text
    async with asking(server) as owner:
        orders = (await owner.get("/api/v1/audit?limit=1")).json()["orders"]
    assert orders[0]["target"] == made.json()["id"]
    return str(orders[0]["address"])


async def test_only_proxies_that_are_named_are_believed(url: str) -> None:
    spoofed = {"X-Forwarded-For": "203.0.113.9"}
    for believed, address in (
        ("", "127.0.0.1"),
        ("198.51.100.0/24", "127.0.0.1"),
        ("127.0.0.0/8", "203.0.113.9"),
    ):
        async with (
            serving(url, proxy_headers=believed) as server,
            asking(server) as ask,
        ):
            assert await _address(server, ask, **spoofed) == address


async def test_nginx_says_who_came(url: str, tmp_path: Path) -> None:
    prefix = "/herald"
    async with serving(url, proxy_headers="127.0.0.1", root_path=prefix) as server:
        with nginx(server.url, prefix, True, tmp_path) as public:
            async with httpx2.AsyncClient(
                base_url=public, headers=WITH_TOKEN, trust_env=False
            ) as ask:
                # What a client says of itself is overwritten.
                spoofed = {"X-Forwarded-For": "203.0.113.9"}
                assert await _address(server, ask, **spoofed) == "127.0.0.1"
                foreign = await ask.get(
                    "api/v1/tasks", headers={"Host": "evil.example"}
                )
                refused(foreign, 421, "HERALD_ALLOWED_HOSTS")


# -- who ordered what --------------------------------------------------------------


async def test_orders_are_written_down_without_what_they_carried(
    url: str, tmp_path: Path
) -> None:
    app = make_app(url, url)
    log = tmp_path / "orders.jsonl"
    async with serving(url, celery=app, audit_log=str(log)) as server:
        token = minted(server, name="owner/ci")
        async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
            secret = {**ORDER, "params": {"period_days": 7_654_321}}
            started = (await ask.post("/api/v1/tasks", json=secret)).json()["task_id"]
            await ask.post(f"/api/v1/tasks/{started}/cancel")
            made = (await ask.post("/api/v1/tokens", json={"label": "x"})).json()
            await ask.delete(f"/api/v1/tokens/{made['id']}")
            kept = (await ask.get("/api/v1/audit")).json()["orders"]
        async with Client(f"{server.url}mcp", auth=TOKEN) as agent:
            await agent.call_tool("start_task_group", {"tasks": [ORDER, ORDER]})
        async with asking(server) as ask:
            all_ = (await ask.get("/api/v1/audit?limit=2")).json()["orders"]
    assert [(o["who"], o["what"], o["target"]) for o in kept] == [
        ("owner/ci", "revoke", made["id"]),
        ("owner/ci", "mint", made["id"]),
        ("owner/ci", "cancel", started),
        ("owner/ci", "start", started),
    ]
    assert (all_[0]["who"], all_[0]["what"], all_[0]["count"]) == (
        "owner",
        "start_group",
        2,
    )
    written = log.read_text()
    assert [json.loads(line)["what"] for line in written.splitlines()] == [
        *("start", "cancel", "mint", "revoke", "start_group")
    ]
    assert "7654321" not in written
    assert made["token"] not in written
    assert log.stat().st_mode & 0o077 == 0
    app.close()


@pytest.mark.parametrize("version", ["2026-07-28", "2025-06-18", None])
async def test_an_empty_message_is_answered(url: str, version: str | None) -> None:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        **({"MCP-Protocol-Version": version} if version else {}),
    }
    async with serving(url) as server, asking(server) as ask:
        answer = await ask.post("/mcp", content=b"", headers=headers)
    assert answer.status_code == 400
