"""Clients without a token that send oddly, read nothing, or come in crowds."""

import asyncio
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from herald_server.auth.quotas.parse_budget import ParseBudget
from herald_server.push.connection.sender import Timeouts
from herald_server.wiring.web_server import connection_guard
from herald_server.wiring.web_server.websocket import (
    MAX_FRAGMENTS,
    DirectWebSocketProtocol,
)
from tests.support.clients.http import asking
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.loop_pauses import pauses
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

UPGRADE = (
    b"Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PING, CONTINUATION, TEXT = 0x89, 0x00, 0x01
FIN = 0x80


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def dial(server: Server, buffer: int | None = None) -> socket.socket:
    """Connect; the kernel holds `buffer` bytes that are not read."""
    at = urlsplit(server.url)
    line = socket.socket()
    if buffer is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.settimeout(20)
    line.connect((at.hostname or "", at.port or 0))
    return line


def frame(head: int, payload: bytes = b"") -> bytes:
    """Return a frame of a client, masked with nothing."""
    return struct.pack("!BB", head, 0x80 | len(payload)) + bytes(4) + payload


async def talk(line: socket.socket, *said: bytes) -> bytes:
    """Say something and return the answer up to the end of the connection."""

    def run() -> bytes:
        heard = b""
        for one in said:
            line.sendall(one)
        while some := line.recv(65_536):
            heard += some
        return heard

    with line:
        return await asyncio.to_thread(run)


REFUSED = {
    "POST with a body": b"POST /ws HTTP/1.1\r\n%bContent-Length: 2\r\n\r\n{}",
    "GET with a length": b"GET /ws HTTP/1.1\r\n%bContent-Length: 2\r\n\r\n{}",
    "GET in chunks": b"GET /ws HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n0\r\n"
    b"\r\n",
    "many headers": b"GET /ws HTTP/1.1\r\n%b"
    + b"".join(b"X-%d: a\r\n" % n for n in range(200))
    + b"\r\n",
    "a long header": b"GET /ws HTTP/1.1\r\n%bX: " + b"a" * 9_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
async def test_a_refused_handshake_is_answered_and_closed(
    url: str, request_: bytes
) -> None:
    async with serving(url) as server:
        heard = await talk(dial(server), request_ % UPGRADE)
    assert heard.startswith(b"HTTP/1.1 4"), heard
    assert b"Traceback" not in heard


async def upgraded(server: Server, buffer: int | None = None) -> socket.socket:
    """Open a WebSocket without a token."""
    line = dial(server, buffer)

    def run() -> None:
        line.sendall(b"GET /ws HTTP/1.1\r\n%b\r\n" % UPGRADE)
        assert line.recv(12).startswith(b"HTTP/1.1 101")

    await asyncio.to_thread(run)
    return line


async def test_pings_of_a_client_that_reads_nothing_take_no_memory(url: str) -> None:
    async with serving(url, buffer=65_536) as server:
        line = await upgraded(server, 4_096)
        line.settimeout(2)
        pings, sent = frame(PING, b"x" * 125) * 500, 0

        def flood() -> int:
            nonlocal sent
            while sent < 64_000_000:
                sent += line.send(pings)
            return sent

        with line, pytest.raises(TimeoutError):
            await asyncio.to_thread(flood)
        # The server takes no more once its answers wait: buffers of kernels, and ours.
        assert sent < 16_000_000


async def test_a_message_in_endless_pieces_is_refused(url: str) -> None:
    async with serving(url) as server:
        line = await upgraded(server)
        pieces = frame(TEXT) + frame(CONTINUATION) * (MAX_FRAGMENTS + 10)
        heard = await talk(line, pieces)
    assert struct.pack("!H", 1009) in heard


async def test_no_large_message_is_kept_of_who_gave_no_token(url: str) -> None:
    # Its head alone is enough: nothing of the rest is waited for.
    large = struct.pack("!BBH", TEXT | FIN, 0xFE, 20_000) + bytes(4)
    async with serving(url) as server:
        heard = await talk(await upgraded(server), large)
        assert struct.pack("!H", 1009) in heard
        async with connected(server) as client:
            await client.socket.send(" " * 60_000)
            [error] = await client.heard("error")
            assert error["code"] == "bad_message", "who has one may send that much"
        async with connected(server, token=None) as client:
            await client.say(type="auth", token=TOKEN)
            await client.heard("hello")
            await client.socket.send(" " * 60_000)
            await client.heard("error")


async def test_a_text_that_is_no_utf_8_ends_the_connection_without_a_traceback(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(url) as server:
        heard = await talk(await upgraded(server), frame(TEXT | FIN, b"\xff\xfe"))
    assert struct.pack("!H", 1007) in heard
    assert not [one for one in caplog.records if one.exc_info]


async def test_answers_that_nobody_reads_are_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_guard, "CHECK_INTERVAL_S", 0.1)
    monkeypatch.setattr(connection_guard, "STALL_TIMEOUT_S", 1.0)
    ask = b"GET /asyncapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with serving(url, buffer=8_192) as server:
        with dial(server, 4_096) as line:
            line.sendall(ask * 200)
            tally = server.app.state.shared.metrics
            await wait_until_async(
                lambda: tally.refusals.get("unread"), 30, "it is cut off"
            )


async def test_a_crowd_without_tokens_leaves_room_for_who_has_one(url: str) -> None:
    patience = Timeouts(auth=60.0)
    async with serving(url, patience=patience, max_unauthenticated=5) as server:
        async with connected(server), connected(server):
            crowd = [await upgraded(server) for _ in range(5)]
            tally = server.app.state.shared.metrics
            with suppress(ConnectionResetError):
                assert await talk(dial(server)) == b""
            assert tally.refusals["connections"] == 1
            for line in crowd:
                line.close()
        await wait_until_async(lambda: not tally.connections, 30, "the crowd is gone")
        async with asking(server) as ask:
            assert (await ask.get("/api/v1/stats")).status_code == 200


async def flooded(line: socket.socket, first: bytes, then: bytes, number: int) -> bytes:
    """Send `first`, and `then` again and again until it is hung up; what was heard."""

    def run() -> bytes:
        heard = b""
        with suppress(OSError):
            line.sendall(first)
            for _ in range(number):
                line.sendall(then)
        with suppress(OSError):
            while some := line.recv(65_536):
                heard += some
        return heard

    with line:
        return await asyncio.to_thread(run)


CHUNKS = (
    b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" % TOKEN.encode()
)


async def test_a_body_in_chunks_of_one_byte_is_given_up(url: str) -> None:
    async with serving(url) as server, pauses() as watched:
        await flooded(dial(server), CHUNKS, b"1\r\nx\r\n" * 1_000, 300)
        assert server.app.state.shared.metrics.refusals["parsing"] == 1
    # All of it takes seconds to parse.
    assert watched.longest < 0.5


async def test_a_large_body_is_no_flood(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for _ in range(3):
            answer = await ask.post("/mcp", content=b" " * 1_000_000)
            assert answer.status_code == 413
        assert "parsing" not in server.app.state.shared.metrics.refusals


async def test_a_head_is_refused_however_much_of_it_comes_at_once(url: str) -> None:
    many = b"".join(b"a%d: b\r\n" % number for number in range(20_000))
    async with serving(url) as server:
        heard = await flooded(
            dial(server), b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", many, 1
        )
    assert b"200 OK" not in heard


async def test_frames_that_come_before_the_handshake_is_answered_are_no_traceback(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    early = frame(TEXT | FIN, b"{}") * 2_000 + b"\xff" * 3_000
    async with serving(url) as server:
        for size in (0, 500, 3_000, 9_000):
            head = b"GET /ws HTTP/1.1\r\n%b\r\n" % UPGRADE
            await flooded(dial(server), head + early[:size], early[size:], 1)
    assert not [one for one in caplog.records if one.exc_info]


@pytest.mark.parametrize(
    "early", [b"\xff" * 500, frame(PING, b"x") * 30_000, frame(TEXT, b"x") * 500]
)
async def test_a_server_stops_whatever_was_sent_before_a_handshake_is_answered(
    url: str, early: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(url) as server:
        lines = [dial(server) for _ in range(5)]
        for line in lines:
            with suppress(OSError):
                await asyncio.to_thread(
                    line.sendall, b"GET /ws HTTP/1.1\r\n%b\r\n" % UPGRADE + early
                )
    for line in lines:
        line.close()
    assert not [one for one in caplog.records if one.exc_info]


def slow(_: bytes) -> None:
    sum(range(3_000_000))


async def test_one_slow_slice_is_no_flood() -> None:
    budget = ParseBudget()
    assert budget.spend(slow, b"x", 1.0)
    assert not all([budget.spend(slow, b"x", 1.0) for _ in range(5)])


async def test_a_flood_of_pings_that_is_read_ends_all_the_same(url: str) -> None:
    async with serving(url) as server:
        async with connected(server) as client:
            pings = frame(PING, b"x") * 1_000

            async def flood() -> None:
                for _ in range(200):
                    client.socket.transport.write(pings)
                    await asyncio.sleep(0)

            with suppress(ConnectionClosed):
                await flood()
            code, _ = await client.closed()
        assert server.app.state.shared.metrics.refusals["parsing"] == 1
    assert code == 4429


@pytest.mark.parametrize(
    "said",
    [
        [{"type": "auth", "token": TOKEN}],
        [{"type": "subscribe", "id": "s"}, {"type": "unsubscribe", "id": "s"}],
        [{"type": "ping"}],
    ],
    ids=["renewals", "subscriptions", "pings"],
)
async def test_messages_without_end_end_the_connection(
    url: str, said: list[dict[str, str]]
) -> None:
    async with serving(url) as server, connected(server) as client, pauses() as watched:
        with suppress(ConnectionClosed):
            for _ in range(3_000):
                for one in said:
                    await client.say(**one)
        code, _ = await client.closed()
    assert code == 4429
    assert watched.longest < 0.5


async def test_a_refused_handshake_that_waits_to_close_lets_a_server_stop(
    url: str,
) -> None:
    """Its answer is not taken, so it is there still; it is not answered once more."""
    many = b"".join(b"X-%d: a\r\n" % number for number in range(200))
    async with serving(url) as server:
        line = dial(server)
        refused = asyncio.Event()
        close = DirectWebSocketProtocol.data_received

        def wait_to_close(self: DirectWebSocketProtocol, data: bytes) -> None:
            close(self, data)
            self.send_500_response()
            refused.set()

        with pytest.MonkeyPatch.context() as patched, line:
            patched.setattr(DirectWebSocketProtocol, "data_received", wait_to_close)
            line.sendall(b"GET /ws HTTP/1.1\r\n%b" % UPGRADE + many + b"\r\n")
            async with asyncio.timeout(30):
                await refused.wait()
