"""Clients that do not read, servers that restart, and several of them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from herald_core.system.subprocesses import spawn, terminate
from herald_server.push.connection import sender
from herald_server.push.connection.sender import Timeouts
from herald_server.push.log import hub
from tests.support import validators
from tests.support.clients.websocket import at_end, connected
from tests.support.herald.server import Server, make_store, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def _has(journal: Journal, task_id: str, rev: str | None) -> bool:
    return journal.items.get(task_id) == rev


# -- slow clients ------------------------------------------------------------------


async def test_a_client_that_never_reads_holds_up_nobody_and_is_closed(
    url: str,
) -> None:
    patience = Timeouts(send=0.5)
    text = "x" * 8_000
    async with (
        serving(url, patience=patience, buffer=16_384) as server,
        connected(server) as good,
    ):
        journal = await good.subscribe(
            filter={"ids": "good", "state": ["STARTED", "RETRY"]}
        )
        await wait_until_async(lambda: journal.cursor)
        reader, writer = await _deaf(server)
        tally = server.app.state.shared.metrics
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        lap = 0
        while 4008 not in tally.closes:
            assert lap < 2_000, "it is never closed"
            await server.tell("received", *(f"{lap}-{i}" for i in range(9)), args=text)
            await server.tell("retried" if lap % 2 else "started", "good")
            rev = (await server.store.get_task("good")).rev
            # Told within a moment, whatever the other one does.
            await wait_until_async(partial(_has, journal, "good", rev), timeout=30)
            lap += 1
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 20_000_000
        validators.kept(journal)
        await wait_until_async(lambda: len(server.app.state.sockets) == 1)
        # What was on its way is read in the end, and the code is there.
        async with asyncio.timeout(30):
            rest = await reader.read(-1)
        assert (4008).to_bytes(2, "big") in rest[-100:]
        writer.close()


async def _deaf(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Subscribe to everything by hand, and read none of it."""
    place = urlsplit(server.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.connect((place.hostname, place.port))
    raw.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=raw, limit=1_024)
    head = (
        f"GET /ws HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n"
    )
    said = b'{"type":"subscribe","id":"s"}'
    frame = bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said
    writer.write(head.encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(frame)
    await writer.drain()
    return reader, writer


async def test_for_a_client_that_takes_nothing_for_a_while_little_is_kept(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts over (`slow`) once it reads on: many would fill the memory."""
    monkeypatch.setattr(sender, "MAX_STALLED_CHANGES", 20)
    monkeypatch.setattr(hub, "MAX_PENDING_BYTES", 1_000_000_000)
    patience = Timeouts(stall=0.2, heartbeat=0.6)
    async with serving(url, patience=patience, buffer=16_384) as server:
        _, writer = await _deaf(server)
        watchers = server.app.state.shared.hub._topics["t"].all
        await wait_until_async(lambda: len(watchers) == 1)
        [watcher] = watchers
        lap = 0
        while not watcher.reset:
            assert len(watcher.pending) < 2_000, "all is kept"
            ids = (f"{lap}-{number}" for number in range(9))
            await server.tell("received", *ids, args="x" * 8_000)
            lap += 1
        assert not watcher.pending
        assert server.app.state.shared.metrics.closes == {}
        writer.transport.abort()


async def test_a_client_that_only_asks_and_never_reads_is_heard_no_more(
    url: str,
) -> None:
    async with serving(url, patience=Timeouts(send=0.5), buffer=16_384) as server:
        _, writer = await _deaf(server)
        ping = b'{"type":"ping"}'
        frames = (bytes([0x81, 0x80 | len(ping), 0, 0, 0, 0]) + ping) * 1_000
        tally = server.app.state.shared.metrics

        async def flood() -> None:
            while True:
                writer.write(frames)
                await writer.drain()

        flooding = asyncio.create_task(flood())
        await wait_until_async(lambda: tally.closes or flooding.done())
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        # Too slow, or too many: whichever is noticed first.
        assert tally.closes in ({4008: 1}, {4429: 1})
        writer.transport.abort()


# -- restarts ----------------------------------------------------------------------


async def test_clients_are_told_when_to_come_back(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await client.heard("hello")
        await server.app.state.sockets.announce_restart(3.0)
        [bye] = await client.heard("bye")
        assert bye["code"] == 1012
        assert 0 <= bye["reconnect_in_ms"] <= 3_000
        assert await client.closed() == (1012, "the server restarts")
        assert len(server.app.state.sockets) == 0
        await server.app.state.sockets.announce_restart(3.0)


@contextmanager
def _process(
    redis_url: str, prefix: str, log: Path
) -> Generator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run `herald server` as a process of its own; yield its WebSocket, and it."""
    env = {
        **os.environ,
        "HERALD_STORE_URL": redis_url,
        "HERALD_STORE_PREFIX": prefix,
        "HERALD_TOKEN": TOKEN,
    }
    words = [sys.executable, "-m", "herald_server", "server", "--port", "0"]
    process = spawn(words, log, env=env)
    try:
        wait_until(lambda: "ready " in log.read_text() or process.poll(), 30)
        said = log.read_text()
        assert "ready http" in said, said
        at = said.partition("ready http")[2].split()[0]
        yield f"ws{at}ws", process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        terminate(process, 1.0)


async def test_a_client_resumes_on_another_process(url: str, tmp_path: Path) -> None:
    prefix = f"{{test-{uuid4().hex}}}"
    store = make_store(url, prefix)
    await store.open()
    server = Server(None, "http://unused/", store)  # type: ignore[arg-type]
    journal = Journal("all")
    try:
        with (
            _process(url, prefix, tmp_path / "1.log") as (one, _),
            _process(url, prefix, tmp_path / "2.log") as (two, _),
        ):
            await server.tell("received", *(f"t{i}" for i in range(50)))
            for ws in (one, two, one, two):
                async with connected(ws) as client:
                    await client.subscribe("all", journal)
                    await server.tell("started", "t1", f"x{ws[-4:]}")
                    await at_end(server, journal)
                # Missed by this client, and told to it by the other process.
                await server.tell("retried", "t1", "t2")
            async with connected(two) as client:
                await client.subscribe("all", journal)
                await at_end(server, journal)
        validators.kept(journal)
        assert sum(bool(s.frame.get("reset")) for s in journal.steps) == 1
    finally:
        await store.close()


async def test_a_process_that_stops_says_goodbye(url: str, tmp_path: Path) -> None:
    with _process(url, "{test-bye}", tmp_path / "log") as (ws, process):
        async with connected(ws) as client:
            await client.heard("hello")
            process.send_signal(signal.SIGTERM)
            assert await client.closed() == (1012, "the server restarts")
            assert client.of("bye")
