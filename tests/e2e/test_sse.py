"""The event stream, over a real socket and a real store."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from herald_server.push.connection.sender import Timeouts
from tests.support import validators
from tests.support.clients.event_stream import streaming
from tests.support.clients.websocket import at_end
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def ask(
    server: Server, path: str, token: str | None = TOKEN, **headers: str
) -> httpx2.Response:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with httpx2.AsyncClient(timeout=30) as http:
        return await http.get(server.url + path, headers=headers)


# -- what is told ---------------------------------------------------------------


async def test_it_tells_what_is_there_and_then_each_change(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a", name="mail.send")
        journal = Journal("events")
        async with streaming(server.url, "name=mail.*", journal) as stream:
            head = stream.answer.headers
            assert head["content-type"] == "text/event-stream; charset=utf-8"
            assert "no-cache" in head["cache-control"]
            assert head["x-accel-buffering"] == "no"
            status = (await stream.heard("status"))[0]
            assert status["gaps"] == []
            await at_end(server, journal)
            await server.tell("started", "a")
            await server.tell("received", "other", name="orders.pay")
            await server.tell("succeeded", "a", runtime=1.0)
            await wait_until_async(
                lambda: stream.of("data")[-1]["put"][0]["state"] == "SUCCESS"
            )
            assert stream.of("data")[0]["reset"] == "new"
            assert set(journal.items) == {"a"}
            validators.kept(journal)


async def test_the_id_of_an_event_is_its_cursor(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a")
        async with streaming(server.url) as stream:
            await wait_until_async(lambda: stream.last_id)
            for event in stream.events:
                if "cursor" in event.frame:
                    assert event.id == event.frame["cursor"]


async def test_a_snapshot_voids_the_id_until_it_is_complete(url: str) -> None:
    async with serving(url) as server:
        # More than one page, so that the first comes without a cursor.
        await server.tell("received", *(f"t{i}" for i in range(400)))
        async with streaming(server.url, last_id="1700000000000-5") as stream:
            await wait_until_async(lambda: stream.last_id)
            first, *_, last = [e for e in stream.events if e.name == "data"]
            assert first.frame["reset"] == "epoch"
            assert first.id == ""
            assert last.id == last.frame["cursor"]


async def test_an_old_id_before_anything_was_read_gets_the_snapshot(url: str) -> None:
    """The reader of the log may be behind who connects, on a busy machine."""
    async with (
        serving(url) as server,
        streaming(server.url, last_id="1700000000000-5") as stream,
    ):
        await stream.heard("status")
        await server.tell("received", "a")
        [first, *_] = await stream.heard("data")
        assert first["reset"] == "epoch"
        await wait_until_async(lambda: stream.last_id)
        assert not stream.of("error")


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("ids=a,b", {"a", "b"}),
        ("ids=a&ids=c", {"a", "c"}),
        ("state=started", {"b"}),
        ("name=n.*&state=RECEIVED", {"a"}),
        ("limit=1", {"c"}),
    ],
)
async def test_it_takes_the_filters_of_the_api(
    url: str, query: str, seen: set[str]
) -> None:
    async with serving(url) as server:
        await server.tell("received", "a", name="n.a")
        await server.tell("started", "b", name="n.b")
        await server.tell("received", "c", name="m.c")
        journal = Journal("events")
        async with streaming(server.url, query, journal):
            await wait_until_async(lambda: journal.cursor)
            assert set(journal.items) == seen


async def test_fields_are_those_that_were_asked_for(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a", name="n")
        async with streaming(server.url, "fields=state,name") as stream:
            [data] = await stream.heard("data")
            assert data["put"][0].keys() == {"id", "rev", "state", "name"}


async def test_every_transition_is_told_to_whom_asks_for_events(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "b")
        async with streaming(server.url, "mode=events") as stream:
            await stream.heard("data")
            for kind in ("received", "started", "succeeded"):
                await server.tell(kind, "a")
            await wait_until_async(lambda: len(_puts(stream)) == 4)
        told = [t["state"] for t in _puts(stream) if t["id"] == "a"]
        assert told == ["RECEIVED", "STARTED", "SUCCESS"]


async def test_counts_can_be_followed(url: str) -> None:
    async with serving(url) as server, streaming(server.url, "topic=counts") as stream:
        await server.tell("received", "a", "b")
        await wait_until_async(lambda: {"id": "RECEIVED", "count": 2} in _puts(stream))


def _puts(stream: Any) -> list[dict[str, Any]]:
    return [item for data in stream.of("data") for item in data["put"]]


# -- its end --------------------------------------------------------------------


async def test_it_is_done_and_ends_when_all_ids_are_final(url: str) -> None:
    async with serving(url) as server:
        await server.tell("started", "a", "b")
        async with streaming(server.url, "ids=a,b") as stream:
            await stream.heard("data")
            await server.tell("succeeded", "a")
            await server.tell("failed", "b")
            assert await stream.heard("done") == [{"type": "done", "id": "events"}]
            await stream.closed()
        await wait_until_async(
            lambda: server.app.state.shared.hub.count_subscribers() == 0
        )


async def test_what_is_too_much_is_an_error_event_and_the_end(url: str) -> None:
    from herald_server.push.protocol.limits import Limits

    async with serving(url, limits=Limits(snapshot=2)) as server:
        await server.tell("received", "a", "b", "c")
        async with streaming(server.url) as stream:
            [error] = await stream.heard("error")
            assert error["code"] == "too_broad"
            assert '"limit": 500' in error["message"]
            await stream.closed()


async def test_a_stopping_server_says_when_to_come_back(url: str) -> None:
    async with serving(url) as server:
        async with streaming(server.url) as stream:
            await stream.heard("status")
            await server.app.state.streams.announce_restart(3.0)
            [bye] = await stream.heard("bye")
            assert stream.retry == bye["reconnect_in_ms"] <= 3_000
            await stream.closed()
        assert len(server.app.state.streams) == 0


async def test_a_client_that_leaves_is_forgotten(url: str) -> None:
    async with serving(url) as server:
        hub = server.app.state.shared.hub
        async with streaming(server.url) as stream:
            await stream.heard("status")
            assert hub.count_subscribers() == 1
        await wait_until_async(lambda: hub.count_subscribers() == 0)
        assert server.app.state.shared.metrics.connections == 0


# -- coming back ----------------------------------------------------------------


async def test_cut_and_resumed_nothing_is_missed_or_told_twice(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "first")
        journal = Journal("events")
        last_id = ""
        for lap in range(8):
            async with streaming(server.url, "", journal, last_id) as stream:
                await server.tell("received", *(f"{lap}-{i}" for i in range(5)))
                await at_end(server, journal)
                last_id = stream.last_id
            await server.tell("started", f"{lap}-0")
        async with streaming(server.url, "", journal, last_id):
            await at_end(server, journal)
        validators.kept(journal)
        resets = [s for s in journal.steps if s.frame.get("reset")]
        assert len(resets) == 1, "it resumed each time"


async def test_since_resumes_and_the_newer_header_goes_first(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a")
        async with streaming(server.url) as stream:
            await wait_until_async(lambda: stream.last_id)
            old = stream.last_id
            await server.tell("received", "b")
            await wait_until_async(lambda: stream.last_id != old)
            new = stream.last_id
        await server.tell("received", "c")
        for last_id, seen in (("", {"b", "c"}), (new, {"c"})):
            journal = Journal("events")
            async with streaming(server.url, f"since={old}", journal, last_id):
                await _has(journal, seen)


async def _has(journal: Journal, seen: set[str]) -> None:
    await wait_until_async(lambda: set(journal.items) == seen)


# -- quiet and slow -------------------------------------------------------------


async def test_a_quiet_stream_gets_bookmarks_though_nothing_moves(url: str) -> None:
    patience = Timeouts(heartbeat=0.1)
    async with serving(url, patience=patience) as server:
        await server.tell("received", "a")
        async with streaming(server.url) as stream:
            marks = await stream.heard("cursor", 3)
            assert len({mark["cursor"] for mark in marks}) == 1
            assert all(mark["lag_ms"] >= 0 for mark in marks)
            assert marks[2]["lag_ms"] > marks[0]["lag_ms"], "nothing was heard since"


async def test_a_stream_that_waits_for_its_store_gets_comments(
    valkey: PrivateValkey,
) -> None:
    patience = Timeouts(heartbeat=0.05)
    async with serving(valkey.url, patience=patience) as server:
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            async with streaming(server.url) as stream:
                await wait_until_async(lambda: stream.comments >= 2)
                assert not stream.last_id
        finally:
            os.kill(valkey.pid, signal.SIGCONT)


async def test_a_client_that_never_reads_is_cut_off(url: str) -> None:
    async with serving(url, patience=Timeouts(send=0.3)) as server:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        place = urlsplit(server.url)
        raw.connect((place.hostname, place.port))
        raw.sendall(
            f"GET /events HTTP/1.1\r\nHost: {place.netloc}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        tally = server.app.state.shared.metrics
        text, lap = "x" * 8_000, 0
        journal = Journal("events")
        async with streaming(server.url, "ids=good&name=n", journal):
            while 4008 not in tally.closes:
                assert lap < 2_000, "it is never closed"
                many = [f"{lap}-{i}" for i in range(9)]
                await server.tell("received", *many, args=text)
                lap += 1
            await server.tell("received", "good", name="n")
            await wait_until_async(lambda: "good" in journal.items)
        await wait_until_async(lambda: len(server.app.state.streams) == 0)
        raw.close()


# -- refusals -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("stat=FAILURE", "did you mean 'state'?"),
        ("state=DONE", "unknown state"),
        ("topic=task", "topic must be one of tasks, workers, queues, counts"),
        ("mode=all", "mode must be one of changes, events"),
        ("limit=-1", "limit must be a whole number"),
        ("since=yesterday", "cursor"),
        (f"token={TOKEN}", "unknown key 'token'"),
    ],
)
async def test_bad_wishes_get_a_sentence(url: str, query: str, sentence: str) -> None:
    async with serving(url) as server:
        answer = await ask(server, f"events?{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert sentence in answer.json()["detail"]


async def test_too_many_ids_are_refused_before_anything_is_sent(url: str) -> None:
    from herald_server.push.protocol.limits import Limits

    async with serving(url, limits=Limits(ids_per_sub=2)) as server:
        answer = await ask(server, "events?ids=a,b,c")
        assert answer.status_code == 400
        assert "at most 2 ids" in answer.json()["detail"]
        assert server.app.state.shared.hub.count_subscribers() == 0


async def test_without_a_token_that_may_read_there_is_no_stream(url: str) -> None:
    async with serving(url) as server:
        for token in (None, "a-wrong-token"):
            answer = await ask(server, "events", token)
            assert answer.status_code == 401
            assert "Bearer" in answer.headers["www-authenticate"]


async def test_a_token_for_other_things_is_refused(url: str) -> None:
    async with serving(url) as server:
        let_in(server, "narrow-token", scopes=frozenset(["start"]))
        answer = await ask(server, "events", "narrow-token")
        assert answer.status_code == 403
        assert "scope read" in answer.json()["detail"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_curl_shows_it(url: str) -> None:
    async with serving(url) as server:
        await server.tell("succeeded", "a", name="n")
        done = await asyncio.to_thread(
            subprocess.run,
            [
                *("curl", "-sN", "--max-time", "10"),
                *("-H", f"Authorization: Bearer {TOKEN}"),
                f"{server.url}events?ids=a",
            ],
            capture_output=True,
            check=False,
            env={**os.environ, "no_proxy": "*"},
        )
        assert done.returncode == 0, "it ends by itself"
        assert b"event: data\nid: " in done.stdout
        assert done.stdout.rstrip().endswith(b'data: {"type":"done","id":"events"}')
