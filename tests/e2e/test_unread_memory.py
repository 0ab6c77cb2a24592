"""What clients of one token do not read takes little memory, and comes back."""

import asyncio
import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest

from herald_core.system.subprocesses import spawn, terminate
from herald_server.auth.quotas import unread_bytes
from herald_server.push.connection.sender import Timeouts
from herald_server.push.log import hub
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, make_store, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

CLIENTS = 80
AUTHORIZED = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
PAGE = f"GET /api/v1/tasks?limit=1000 HTTP/1.1\r\n{AUTHORIZED}\r\n".encode() * 10


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


def dial(url: str, said: bytes) -> socket.socket:
    """Connect with a small receive buffer, say something, and read nothing."""
    at = urlsplit(url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.settimeout(10)
    line.connect((at.hostname or "", at.port or 0))
    line.sendall(said)
    return line


@contextmanager
def process(redis_url: str, prefix: str, log: Path) -> Generator[tuple[str, int]]:
    """Run `herald server` by itself; yield its URL, and its process id."""
    env = {
        **os.environ,
        "HERALD_STORE_URL": redis_url,
        "HERALD_STORE_PREFIX": prefix,
        "HERALD_TOKEN": TOKEN,
    }
    words = [sys.executable, "-m", "herald_server", "server", "--port", "0"]
    running = spawn(words, log, env=env)
    try:
        wait_until(lambda: "ready http" in log.read_text(), 30)
        yield log.read_text().partition("ready ")[2].split()[0], running.pid
    finally:
        terminate(running, 5.0)


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1_024


def sockets(pid: int) -> int:
    """Return how many sockets a process has open."""
    found = Path(f"/proc/{pid}/fd").iterdir()
    return sum("socket" in _target(one) for one in found)


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


async def test_pages_that_nobody_reads_take_little_memory(
    url: str, tmp_path: Path
) -> None:
    prefix = f"{{test-{uuid4().hex}}}"
    store = make_store(url, prefix)
    await store.open()
    try:
        teller = Server(None, "http://unused/", store)  # type: ignore[arg-type]
        for lap in range(10):
            ids = (f"{lap}-{number}" for number in range(100))
            await teller.tell("received", *ids, args="x" * 1_500)
        with process(url, prefix, tmp_path / "log") as (at, pid):
            await asyncio.to_thread(_flood, at, pid)
    finally:
        await store.close()


def _flood(at: str, pid: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=at, headers=headers, trust_env=False) as ask:
        assert len(ask.get("/api/v1/tasks?limit=1000").content) > 1_500_000
        before, had = megabytes(pid), sockets(pid)
        crowd = [dial(at, PAGE) for _ in range(CLIENTS)]
        peak = before

        def refusing() -> bool:
            nonlocal peak
            peak = max(peak, megabytes(pid))
            return 'reason="unread"' in ask.get("/metrics").text

        wait_until(refusing, 60)
        assert peak - before < 32
        # Others of the token are served.
        assert ask.get("/api/v1/stats").status_code == 200
        for line in crowd:
            line.close()
        wait_until(lambda: sockets(pid) <= had + 70, 30)
        assert megabytes(pid) - before < 32


async def test_watchers_that_read_nothing_end_and_others_of_the_token_stay(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_bytes, "MAX_BYTES", 500_000)
    monkeypatch.setattr(unread_bytes, "HARD_MAX_BYTES", 1_000_000)
    monkeypatch.setattr(unread_bytes, "GRACE_S", 0.2)
    monkeypatch.setattr(hub, "MAX_PENDING_BYTES", 500_000)
    async with serving(url, patience=Timeouts(send=60.0), buffer=16_384) as server:
        await server.tell("received", "first")
        shared = server.app.state.shared
        stream = f"GET /events?state=STARTED HTTP/1.1\r\n{AUTHORIZED}\r\n".encode()
        deaf = [await asyncio.to_thread(dial, server.url, stream) for _ in range(12)]
        await wait_until_async(lambda: shared.metrics.frames >= 24)
        async with connected(server) as same:
            journal = await same.subscribe(filter={"state": ["STARTED"]})
            await wait_until_async(lambda: journal.cursor)
            held = lap = 0
            for lap in range(5_000):
                await server.tell("started", f"{lap}-a", f"{lap}-b", args="x" * 8_000)
                held = max(held, *_totals(server))
                if shared.metrics.refusals.get("unread", 0) >= 4:
                    break
            # Beyond the bound there is what one watcher is told at once.
            assert held < 1_000_000 + 1.5 * hub.MAX_PENDING_BYTES
            await wait_until_async(
                lambda: f"{lap}-b" in journal.items, 30, "others are told"
            )
        assert 4 <= shared.metrics.refusals["unread"] <= 12
        for line in deaf:
            line.close()
        await wait_until_async(lambda: not any(_totals(server)), 30, "nothing waits")


def _totals(server: Server) -> list[int]:
    accounts = server.app.state.shared.accounts
    return [account.backlog.total for account in accounts._accounts.values()]
