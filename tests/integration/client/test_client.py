"""The Python client waits, asks and gives orders, against a real server."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest
from celery import Celery

from herald_client import (
    ConfirmationNeeded,
    Herald,
    RecordExpired,
    ServerProblem,
    TimedOut,
)
from herald_core.errors import InvalidInput
from herald_core.store.memory.store import MemoryStore
from tests.support.celery.worker import AppFactory
from tests.support.herald.command_line import environment
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server, worker_of
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveServer]:
    """A server for tests that do not count tasks."""
    with live_server() as server:
        yield server


@pytest.fixture
def server() -> Iterator[LiveServer]:
    """A server with an empty store."""
    with live_server() as server:
        yield server


async def test_wait_returns_the_ending(shared: LiveServer) -> None:
    shared.tell("received", "w1", name="n")
    async with Herald(shared.url, TOKEN) as herald:
        waiting = asyncio.create_task(herald.wait("w1", timeout=30))
        await asyncio.sleep(0)
        shared.tell("succeeded", "w1", result="42")
        task = await waiting
        assert (task.state, task.result) == ("SUCCESS", "42")
        assert (await herald.wait("w1", timeout=30)).rev == task.rev


async def test_wait_for_an_unheard_task_hears_of_it(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald, asyncio.timeout(30):
        states: list[str] = []
        async for task in herald.follow("w2"):
            states.append(task.state)
            if task.state == "UNKNOWN":
                shared.tell("received", "w2", name="n")
                shared.tell("revoked", "w2", flag="terminated")
    assert states[0] == "UNKNOWN"
    assert states[-1] == "REVOKED"


async def test_wait_that_takes_too_long_holds_the_task(shared: LiveServer) -> None:
    shared.tell("received", "w3", name="n")
    async with Herald(shared.url, TOKEN) as herald:
        with pytest.raises(TimedOut, match="w3 is still RECEIVED") as raised:
            await herald.wait("w3", timeout=0.15)
    assert raised.value.task.state == "RECEIVED"
    assert isinstance(raised.value, TimeoutError)


async def test_wait_for_a_lost_task_ends(shared: LiveServer) -> None:
    shared.tell("received", "w4", name="n")
    shared.tell("lost", "w4", source="inferred")
    async with Herald(shared.url, TOKEN) as herald:
        assert (await herald.wait("w4", timeout=30)).state == "LOST"


async def test_wait_for_a_forgotten_task_says_so() -> None:
    with live_server(store=MemoryStore(keep_unfinished=0.01)) as server:
        server.tell("received", "w5", name="n")
        async with Herald(server.url, TOKEN) as herald:
            waiting = asyncio.create_task(herald.wait("w5", timeout=30))
            await wait_until_async(
                lambda: server.do(server.store.expire_tasks(now=2e9))
            )
            with pytest.raises(RecordExpired, match="ran out"):
                await waiting
            assert (await herald.task("w5")).state == "EXPIRED"


async def test_task_comes_with_its_attempts(shared: LiveServer) -> None:
    shared.tell("received", "d1", name="n")
    shared.tell("started", "d1")
    async with Herald(shared.url, TOKEN) as herald:
        task = await herald.task("d1")
        nothing = await herald.task("x?y#z é")
    assert (task.id, task.state) == ("d1", "STARTED")
    assert [run.state for run in task.attempts] == ["STARTED"]
    assert (nothing.state, nothing.id) == ("UNKNOWN", "x?y#z é")


async def test_tasks_walks_all_pages(server: LiveServer) -> None:
    for n in range(230):
        server.tell("received", f"t{n}", name="n")
    server.tell("received", "other", name="o")
    async with Herald(server.url, TOKEN) as herald:
        found = [task.id async for task in herald.tasks(name="n")]
        some = [task.id async for task in herald.tasks(limit=3)]
        every = [task.id async for task in herald.tasks()]
    assert len(found) == len(set(found)) == 230
    assert (len(every), some) == (231, every[:3])


async def test_stats_and_workers_are_read(server: LiveServer) -> None:
    server.hear_of(worker_of("celery@one", processed=5))
    server.tell("received", "a", name="n")
    async with Herald(server.url, TOKEN) as herald:
        stats = await herald.stats()
        workers = await herald.workers()
    assert (stats.counts, stats.total) == ({"RECEIVED": 1}, 1)
    assert [(w.hostname, w.processed) for w in workers] == [("celery@one", 5)]


@pytest.fixture
def sender(project_app: AppFactory, valkey: PrivateValkey) -> Celery:
    """An app whose broker takes what is sent; no worker listens."""
    return project_app(valkey.url)


async def test_starts_and_cancels(sender: Celery) -> None:
    with live_server(sender) as server:
        async with Herald(server.url, TOKEN) as herald:
            started = await herald.start("metrics_snapshot", {})
            task = await herald.task(started.task_id)
            assert (task.state, started.status) == ("PENDING", "queued")
            server.tell("succeeded", started.task_id, result="1")
            done = await herald.cancel(started.task_id)
            assert done.status == "success"
            assert done.message.startswith("Too late")


CRISIS = {"severity": "minor", "reason": "flood"}


async def test_what_asks_a_person_is_started_once_they_agreed(sender: Celery) -> None:
    with live_server(sender) as server:
        async with Herald(server.url, TOKEN) as herald:
            with pytest.raises(ConfirmationNeeded, match="severity='minor'") as asked:
                await herald.start("resilience_crisis_activation", CRISIS)
            assert asked.value.code == 428
            yes = asked.value.confirmation
            started = await herald.start(
                "resilience_crisis_activation", CRISIS, confirmation=yes
            )
            assert started.status == "queued"


@pytest.mark.parametrize(
    ("typed", "words", "starts"),
    [("y\n", (), True), ("n\n", (), False), ("", ("--yes",), True), (None, (), False)],
)
def test_the_command_asks_the_person_at_the_terminal(
    sender: Celery, typed: str | None, words: tuple[str, ...], starts: bool
) -> None:
    ours, theirs = pty.openpty()
    order = ("start", "resilience_crisis_activation", "severity=minor", "reason=x")
    with live_server(sender) as server, os.fdopen(ours, "wb", buffering=0) as keyboard:
        keyboard.write((typed or "").encode())
        done = subprocess.run(
            [sys.executable, "-m", "herald_server", *order, *words],
            stdin=theirs if typed is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(server.url),
            timeout=30,
            check=False,
        )
        os.close(theirs)
        sent = server.do(server.store.count_by_state())
    assert (done.returncode, sent) == ((0, {"PENDING": 1}) if starts else (1, {}))
    assert ("severity='minor'" in done.stderr) == ("--yes" not in words)
    if not starts:
        assert "Nothing was started." in done.stderr


async def test_problem_of_the_server_is_its_sentence(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald:
        with pytest.raises(ServerProblem, match="HERALD_BROKER_URL") as raised:
            await herald.start("metrics_snapshot", {})
        assert raised.value.code == 503
        with pytest.raises(ServerProblem, match="after must be an RFC 3339 time"):
            _ = [task async for task in herald.tasks(after="yesterday")]


async def test_filter_that_makes_no_sense_is_said(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald:
        with pytest.raises(InvalidInput, match="did you mean 'SUCCESS'"):
            herald.watch(state="SUCESS")
