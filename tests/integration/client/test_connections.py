"""Which connections the Python client opens for its requests."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from herald_client import Herald, ServerProblem, Unreachable

pytestmark = pytest.mark.anyio

REMOTE = "http://herald.example:8787/"


class StrangeServer(msgspec.Struct):
    """A server that answers each request with no tasks; what it was asked."""

    port: int = 0
    connections: int = 0
    requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        while line := await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            self.requests.append(line.decode().rpartition(" ")[0])
            body = b'{"counts":{},"total":0}'
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        writer.close()


@asynccontextmanager
async def strange_server() -> AsyncGenerator[StrangeServer]:
    """Run a server for the block."""
    made = StrangeServer()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    async with listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made


async def test_requests_share_a_connection() -> None:
    async with strange_server() as server, Herald(server.url, "t") as herald:
        await herald.stats()
        await herald.stats()
    assert server.requests == ["GET /api/v1/stats"] * 2
    assert server.connections == 1


async def test_requests_go_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with strange_server() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with Herald(REMOTE, "t") as herald:
            await herald.stats()
    assert proxy.requests == [f"GET {REMOTE}api/v1/stats"]


async def test_watches_go_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with strange_server() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with Herald(REMOTE, "t") as herald:
            with pytest.raises(ServerProblem):
                async with aclosing(herald.watch().__aiter__()) as changes:
                    await anext(changes)
    assert proxy.requests[0] == "CONNECT herald.example:8787"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_proxy_leads_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with (
        strange_server() as server,
        Herald(f"http://{host}:{server.port}/", "t") as herald,
    ):
        await herald.stats()
    assert server.requests == ["GET /api/v1/stats"]


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1", "http://[::1"])
def test_a_proxy_that_is_none_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(Unreachable, match=r"herald\.example"):
        Herald(REMOTE, "t")


@pytest.fixture
def thread_server() -> Iterator[str]:
    """Run a server with connections that stay open on a thread; return its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = b'{"counts":{},"total":0}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_client_may_be_used_in_one_loop_after_another(thread_server: str) -> None:
    herald = Herald(thread_server, "t")
    for _ in range(2):
        assert asyncio.run(herald.stats()).total == 0
