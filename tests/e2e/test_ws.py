"""The WebSocket door, over a real socket and a real store."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests import validators
from tests.servers import PrivateValkey, wait_until
from tests.serving import (
    TOKEN,
    Server,
    at_end,
    coded,
    connected,
    make_store,
    serving,
    until,
)
from tests.validators import Journal
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from herald_monitor.child_process import end, spawn
from herald_monitor.model.workers import parse_worker
from herald_monitor.store import Gap
from herald_server.limits import Limits
from herald_server.pump import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


# -- the handshake -------------------------------------------------------------------


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
        serving(url, patience=Patience(auth=0.05)) as server,
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
    async with serving(url) as server:
        # The server echoes none, which is against this client's wish as well.
        async with connected(server, subprotocols=protocols) as client:
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
    async with asyncio.timeout(5):
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


# -- messages -------------------------------------------------------------------------


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
        async with asyncio.timeout(5):
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
            await until(lambda: narrow.cursor)
            assert sorted(narrow.items) == ["t2", "t3", "t4"]
            await server.tell("started", "t0")
            await until(lambda: "t0" in narrow.items)


# -- what is told ------------------------------------------------------------------------


FILTERS: dict[str, Any] = {
    "ids": ["hit", "other"],
    "name": "mail.s*",
    "state": ["started", "RETRY"],
    "worker": "w1@*",
    "queue": "fast",
    "root": "tree",
    "parent": "mother",
    "group": "team",
    "tag": "red",
}


@pytest.mark.parametrize("key", FILTERS)
async def test_each_filter_key_chooses_from_snapshot_and_changes(
    url: str, key: str
) -> None:
    about = {
        "name": "mail.send",
        "queue": "fast",
        "root_id": "tree",
        "parent_id": "mother",
        "group_id": "team",
        "tags": ("red", "green"),
    }
    async with serving(url) as server:
        await server.tell("sent", "hit", **about, host="client")
        await server.tell("sent", "miss", name="other", queue="slow", host="client")
        await server.tell("started", "hit")
        await server.tell("received", "miss", host="w2@h")
        async with connected(server) as client:
            journal = await client.subscribe(filter={key: FILTERS[key]})
            await until(lambda: journal.cursor)
            assert list(journal.items) == ["hit"]
            before = journal.items["hit"]
            await server.tell("retried", "hit")
            await server.tell("started", "miss", host="w2@h")
            await server.tell("failed", "miss", host="w2@h")
            await server.tell("succeeded", "hit")
            gone = key == "state"
            await until(lambda: journal.items.get("hit") != before)
            await until(lambda: ("hit" not in journal.items) is gone)
            assert "miss" not in journal.items
            validators.kept(journal)


async def test_a_task_that_is_swept_is_deleted_on_every_client(url: str) -> None:
    store = make_store(url, retention=0.0)
    async with serving(url, store=store) as server, connected(server) as client:
        journal = await client.subscribe(filter={"state": "SUCCESS"})
        await server.tell("succeeded", "a")
        await until(lambda: "a" in journal.items)
        await store.sweep(now=4e9)
        await until(lambda: not journal.items)


async def test_workers_and_counts_are_topics(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await server.tell("received", "a", "b")
        workers = await client.subscribe("w", topic="workers")
        counts = await client.subscribe("c", topic="counts")
        await until(lambda: workers.cursor and counts.cursor)
        assert [f["put"] for f in client.of("data") if f["id"] == "c"] == [
            [{"id": "RECEIVED", "count": 2}]
        ]
        raw = {"type": "worker-online", "hostname": "w1@h", "timestamp": 1.7e9}
        worker = parse_worker(raw, 1.7e9)
        assert worker is not None
        await server.store.store([], [worker], now=1.7e9)
        await until(lambda: "w1@h" in workers.items)
        await server.tell("succeeded", "a")

        def counted() -> dict[str, int]:
            puts = [f["put"] for f in client.of("data") if f["id"] == "c"]
            return {one["id"]: one["count"] for put in puts for one in put}

        await until(lambda: counted() == {"RECEIVED": 1, "SUCCESS": 1})


async def test_a_watch_on_ids_ends_with_done(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await server.tell("succeeded", "a")
        await server.tell("started", "b")
        journal = await client.subscribe(filter={"ids": ["a", "b"]})
        await until(lambda: journal.cursor)
        assert not client.of("done")
        await server.tell("failed", "b")
        await client.heard("done")
        assert journal.items == await server.revs()
        # Whoever comes back after the end is told so at once.
        async with connected(server) as later:
            await later.subscribe("all", journal, filter={"ids": ["a", "b"]})
            await later.heard("done")
            assert not later.of("data")


async def test_bookmarks_come_when_nothing_else_does(url: str) -> None:
    patience = Patience(heartbeat=0.1)
    async with serving(url, patience=patience) as server, connected(server) as client:
        journal = await client.subscribe(filter={"ids": ["never", "heard"]})
        await client.heard("cursor", 3)
        await server.beat()
        end = str(await server.store.end())
        await until(lambda: journal.cursor == end)
        validators.kept(journal, bookmark_within=1.0)


async def test_stale_and_gaps_are_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_server.feed.STALE_AFTER", 0.3)
    monkeypatch.setattr("herald_server.status.CHECK_EVERY", 0.05)
    async with serving(url) as server:
        await server.beat(lag_ms=7)
        async with connected(server) as client:
            await until(lambda: client.of("status"))
            await server.beat(lag_ms=7)
            await until(lambda: client.of("status")[-1]["stale"] is False)
            gap = Gap(
                id="g1",
                since="2026-01-01T00:00:00.000Z",
                until="2026-01-01T00:01:00.000Z",
                reason="the broker was away",
            )
            await server.store.open_gap(gap)
            await until(lambda: client.of("status")[-1]["gaps"])
            told = client.of("status")[-1]
            assert told["gaps"][0]["reason"] == "the broker was away"
            assert told["lag_ms"] == 7
            await until(lambda: client.of("status")[-1]["stale"] is True)


# -- resuming ------------------------------------------------------------------------------


async def _work(server: Server, laps: int, tasks: int = 20) -> None:
    kinds = ("received", "started", "retried", "received", "started", "succeeded")
    for lap in range(laps):
        for i in range(tasks):
            await server.tell(kinds[(lap + i) % 6], f"t{i}", name=f"n{i % 3}")
        await asyncio.sleep(0)


async def test_cut_ten_times_and_resumed_nothing_is_missed_or_told_twice(
    url: str,
) -> None:
    async with serving(url) as server:
        await server.tell("received", *(f"t{i}" for i in range(20)), name="n")
        journals = [Journal("all"), Journal("some")]
        wishes: list[dict[str, Any]] = [{}, {"filter": {"state": ["STARTED"]}}]
        working = asyncio.create_task(_work(server, 12))
        for cut in range(10):
            async with connected(server) as client:
                for journal, wish in zip(journals, wishes, strict=True):
                    await client.subscribe(journal.sub, journal, **wish)
                frames = 1 + cut % 4
                await until(lambda n=frames: len(client.of("data")) >= n)
                client.socket.transport.abort()
        await working
        async with connected(server) as client:
            for journal, wish in zip(journals, wishes, strict=True):
                await client.subscribe(journal.sub, journal, **wish)
            await at_end(server, journals[0])
            for journal in journals:
                validators.kept(journal)
        first = journals[0].steps[0].frame
        resets = [s for s in journals[0].steps if s.frame.get("reset")]
        assert first["reset"] == "new"
        assert sum(s is not None for s in journals[0].since) >= 9, "it resumed"
        assert len(resets) <= 2, "and was spared fresh snapshots"


async def test_a_cursor_whose_history_is_gone_gets_a_reset(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a")
        for since in ("1700000000000-5", "99999999999999-1"):
            async with connected(server) as client:
                journal = Journal("all")
                journal.cursor = since
                await client.subscribe("all", journal)
                await at_end(server, journal)
                assert client.of("data")[0]["reset"] == "epoch"


async def test_a_flushed_store_is_told_as_a_reset(valkey: PrivateValkey) -> None:
    async with serving(valkey.url) as server, connected(server) as client:
        await server.tell("received", "a", "b")
        journal = await client.subscribe()
        await at_end(server, journal)
        with valkey.client() as redis:
            redis.flushall()
        await server.tell("received", "c")
        await until(lambda: list(journal.items) == ["c"])
        assert client.of("data")[-1]["reset"] == "epoch"
        validators.kept(journal, final=await server.revs())


async def test_a_store_that_is_away_for_a_moment_costs_nothing(
    valkey: PrivateValkey,
) -> None:
    async with serving(valkey.url) as server, connected(server) as client:
        await server.tell("received", "a")
        journal = await client.subscribe()
        await at_end(server, journal)
        pid = valkey.pid
        assert pid is not None
        with valkey.client() as redis:
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await server.tell("started", "a")
        await at_end(server, journal)
        validators.kept(journal)


# -- slow clients ----------------------------------------------------------------------------


async def test_a_client_that_never_reads_holds_up_nobody_and_is_closed(
    url: str,
) -> None:
    patience = Patience(send=0.5)
    text = "x" * 8_000
    async with (
        serving(url, patience=patience, buffer=16_384) as server,
        connected(server) as good,
    ):
        journal = await good.subscribe(
            filter={"ids": "good", "state": ["STARTED", "RETRY"]}
        )
        await until(lambda: journal.cursor)
        reader, writer = await _deaf(server)
        tally = server.app.state.shared.tally
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        lap = 0
        while 4008 not in tally.closes:
            assert lap < 2_000, "it is never closed"
            await server.tell("received", *(f"{lap}-{i}" for i in range(9)), args=text)
            await server.tell("retried" if lap % 2 else "started", "good")
            rev = (await server.store.task("good")).rev
            # Told within a moment, whatever the other one does.
            await until(lambda rev=rev: journal.items.get("good") == rev, within=1)
            lap += 1
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 20_000_000
        validators.kept(journal)
        await until(lambda: len(server.app.state.sockets) == 1)
        # What was on its way is read in the end, and the code is there.
        async with asyncio.timeout(5):
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


async def test_a_client_that_only_asks_and_never_reads_is_heard_no_more(
    url: str,
) -> None:
    async with serving(url, patience=Patience(send=0.5), buffer=16_384) as server:
        _, writer = await _deaf(server)
        ping = b'{"type":"ping"}'
        frames = (bytes([0x81, 0x80 | len(ping), 0, 0, 0, 0]) + ping) * 1_000
        tally = server.app.state.shared.tally

        async def flood() -> None:
            while True:
                writer.write(frames)
                await writer.drain()

        flooding = asyncio.create_task(flood())
        await until(lambda: 4008 in tally.closes or flooding.done())
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert tally.closes.get(4008) == 1
        writer.transport.abort()


# -- restarts ----------------------------------------------------------------------------------


async def test_clients_are_told_when_to_come_back(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await client.heard("hello")
        await server.app.state.sockets.restart(3.0)
        [bye] = client.of("bye")
        assert bye["code"] == 1012
        assert 0 <= bye["reconnect_in_ms"] <= 3_000
        assert await client.closed() == (1012, "the server restarts")
        assert len(server.app.state.sockets) == 0
        await server.app.state.sockets.restart(3.0)


@contextmanager
def _process(
    redis_url: str, prefix: str, log: Path
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
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
        assert process.wait(5) == 0
    finally:
        end(process, 1.0)


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
