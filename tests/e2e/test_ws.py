"""The WebSocket door over a real socket: handshakes, tokens, messages."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from herald_server.push.connection.sender import Timeouts
from herald_server.push.protocol.limits import Limits
from tests.support.clients.websocket import coded, connected
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


# -- the handshake -----------------------------------------------------------------


async def test_it_greets_with_its_limits_and_how_it_is(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        assert client.socket.subprotocol == "herald.v1"
        [hello] = await client.heard("hello")
        assert hello["v"] == 1
        assert (hello["heartbeat"], hello["tick_ms"]) == (15, 50)
        assert hello["limits"]["subs"] == 50
        [status] = await client.heard("status")
        assert status["stale"] is True, "no monitor has spoken yet"
        assert status["gaps"] == []


async def test_an_open_connection_keeps_nothing_of_the_application(url: str) -> None:
    def list_coroutines() -> list[str]:
        found: list[str] = []
        for task in asyncio.all_tasks():
            work: Any = task.get_coro()
            while work is not None:
                found.append(getattr(work, "__qualname__", ""))
                work = getattr(work, "cr_await", None)
        return found

    async with serving(url) as server, connected(server) as client:
        await client.heard("hello")
        names = list_coroutines()
        assert "Connection.run" in names
        routes = ("WebSocketRoute.", "WebSocketEndpoint.__call__")
        assert not [name for name in names if name.startswith(routes)]
        await client.say(type="ping")
        await client.heard("pong")


async def test_a_browser_sends_its_token_as_a_subprotocol(url: str) -> None:
    protocols = [Subprotocol("herald.v1"), Subprotocol(coded(TOKEN))]
    async with (
        serving(url) as server,
        connected(server, None, subprotocols=protocols) as client,
    ):
        assert client.socket.subprotocol == "herald.v1"
        await client.heard("hello")


async def test_a_token_may_come_as_the_first_message(url: str) -> None:
    async with serving(url) as server, connected(server, None) as client:
        await client.say(type="auth", token=TOKEN)
        await client.heard("hello")


@pytest.mark.parametrize(
    "first", ['{"type":"auth","token":"wrong"}', '{"type":"ping"}', "x", "[]"]
)
async def test_another_first_message_is_refused(url: str, first: str) -> None:
    async with serving(url) as server, connected(server, None) as client:
        await client.socket.send(first)
        assert await client.closed() == (4401, "a valid token is needed")
        assert client.frames == []


@pytest.mark.parametrize(
    ("token", "protocol"), [("wrong", None), (None, coded("wrong")), (None, "bearer.x")]
)
async def test_a_bad_token_closes_4401(
    url: str, token: str | None, protocol: str | None
) -> None:
    protocols = [Subprotocol(p) for p in ("herald.v1", protocol) if p]
    async with (
        serving(url) as server,
        connected(server, token, subprotocols=protocols) as client,
    ):
        assert await client.closed() == (4401, "a valid token is needed")
        assert client.frames == []


async def test_no_token_in_time_closes_4408(url: str) -> None:
    async with (
        serving(url, patience=Timeouts(auth=0.05)) as server,
        connected(server, None) as client,
    ):
        assert await client.closed() == (4408, "no token within 0.05 s")


async def test_a_token_that_is_renewed_must_be_valid(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await client.say(type="auth", token=TOKEN)
        await client.say(type="ping")
        await client.heard("pong")
        await client.say(type="auth", token="wrong")
        assert (await client.closed())[0] == 4401


async def test_another_subprotocol_closes_4406(url: str) -> None:
    protocols = [Subprotocol("herald.v9")]
    async with (
        serving(url) as server,
        connected(server, subprotocols=protocols) as client,
    ):
        assert await client.closed() == (4406, "speak herald.v1")


async def test_no_subprotocol_at_all_will_do(url: str) -> None:
    async with (
        serving(url) as server,
        connected(server, subprotocols=None) as client,
    ):
        await client.heard("hello")


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"Origin": "https://evil.example"}, 403, "HERALD_ALLOWED_ORIGINS"),
        ({"Origin": "null"}, 403, "HERALD_ALLOWED_ORIGINS"),
        ({"Host": "evil.example"}, 421, "HERALD_ALLOWED_HOSTS"),
    ],
)
async def test_foreign_pages_and_hosts_are_turned_away_in_the_handshake(
    url: str, headers: dict[str, str], status: int, sentence: str
) -> None:
    async with serving(url) as server:
        answer = await _handshake(server, headers)
    head, _, body = answer.partition("\r\n\r\n")
    assert f" {status} " in head.splitlines()[0]
    assert "application/problem+json" in head
    assert sentence in json.loads(body)["detail"]


async def _handshake(server: Server, headers: dict[str, str]) -> str:
    """Return the answer to a handshake with `headers`, `Host` among them."""
    place = urlsplit(server.url)
    sent = {
        "Host": place.netloc,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Authorization": f"Bearer {TOKEN}",
        **headers,
    }
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = ["GET /ws HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_our_own_page_and_allowed_ones_may_connect(url: str) -> None:
    allowed = "https://app.example"
    async with serving(url, allowed_origins=allowed) as server:
        for origin in (server.url.rstrip("/"), allowed):
            headers = {"Origin": origin}
            async with connected(server, additional_headers=headers) as client:
                await client.heard("hello")


async def test_there_is_one_websocket_only(url: str) -> None:
    async with serving(url) as server:
        with pytest.raises(InvalidStatus):
            async with connected(server.ws + "x"):
                pass


# -- messages ----------------------------------------------------------------------


async def test_bad_messages_get_a_sentence_and_the_socket_stays(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        for said in ("x", json.dumps({"type": "subscribe", "id": "s", "since": "x"})):
            await client.socket.send(said)
        await client.socket.send(" " * 70_000)
        first, second, third = await client.heard("error", 3)
        assert first["message"] == "not JSON; send one JSON object a text frame"
        assert (second["id"], second["code"]) == ("s", "bad_cursor")
        assert third["code"] == "too_big"
        await client.say(type="ping")
        await client.heard("pong")


async def test_ten_bad_messages_in_a_row_close_4400(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        for _ in range(10):
            await client.socket.send("{}")
        assert (await client.closed())[0] == 4400
        assert len(client.of("error")) == 10, "each is answered"


async def test_an_enormous_message_closes_1009(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await client.heard("hello")
        await client.socket.send(" " * 300_000)
        assert (await client.closed())[0] == 1009


async def test_binary_frames_are_read_like_text(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await client.socket.send(b'{"type":"ping"}')
        await client.heard("pong")
        await client.socket.send(b"\xff\xfe")
        [error] = await client.heard("error")
        assert error["code"] == "bad_message"


async def test_protocol_pings_are_answered(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        async with asyncio.timeout(30):
            await (await client.socket.ping())


async def test_too_much_at_once_is_refused_with_a_hint(url: str) -> None:
    async with serving(url, limits=Limits(snapshot=3)) as server:
        await server.tell("received", *(f"t{i}" for i in range(5)))
        async with connected(server) as client:
            await client.subscribe("broad")
            [error] = await client.heard("error")
            assert (error["id"], error["code"]) == ("broad", "too_broad")
            assert error["retry"] is False
            assert "narrow the filter" in error["message"]
            assert '"limit"' in error["message"]
            narrow = await client.subscribe("narrow", limit=3)
            await wait_until_async(lambda: narrow.cursor)
            assert sorted(narrow.items) == ["t2", "t3", "t4"]
            await server.tell("started", "t0")
            await wait_until_async(lambda: "t0" in narrow.items)
