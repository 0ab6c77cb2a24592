"""The Python client is told, by a real server, over connections that break."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial

import pytest

from herald_client import (
    Gone,
    Herald,
    Put,
)
from herald_core.store.memory.store import MemoryStore
from tests.support.clients.watch_recorder import following
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server, worker_of
from tests.support.servers.fault_proxy import Proxy
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveServer]:
    """A server for tests that do not count tasks."""
    with live_server() as server:
        yield server


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    """A server that knows of the past only what its short log has."""
    monkeypatch.setattr("herald_server.push.log.hub.MAX_RECENT_CHANGES", 0)
    with live_server(store=MemoryStore(log_length=5)) as server:
        yield server


@pytest.fixture
def server() -> Iterator[LiveServer]:
    """A server with an empty store."""
    with live_server() as server:
        yield server


async def test_tells_what_there_is_and_what_becomes_of_it(server: LiveServer) -> None:
    server.tell("received", "a", name="n")
    async with (
        Herald(server.url, TOKEN) as herald,
        following(herald.watch()) as told,
    ):
        await wait_until_async(lambda: told.states == {"a": "RECEIVED"})
        server.tell("started", "a")
        server.tell("received", "b", name="n")
        await wait_until_async(lambda: told.states == {"a": "STARTED", "b": "RECEIVED"})
    assert told.resets == []


async def test_ten_cuts_lose_nothing_and_repeat_nothing(
    server: LiveServer, proxy: Callable[[str], Proxy]
) -> None:
    line = proxy(server.url)
    notes: list[str] = []
    server.tell("received", "before", name="n")
    async with (
        Herald(line.url, TOKEN, tell=notes.append) as herald,
        following(herald.watch(every=True)) as told,
    ):
        await wait_until_async(lambda: "before" in told.states)
        for n in range(10):
            server.tell("received", f"t{n}", name="n")
            server.tell("started", f"t{n}")
            line.cut()
            server.tell("succeeded", f"t{n}", result="1")
            server.tell("received", f"u{n}", name="n")
            await wait_until_async(partial(told.has, f"u{n}"))
    right = {f"t{n}": "SUCCESS" for n in range(10)}
    right |= {f"u{n}": "RECEIVED" for n in range(10)}
    assert told.states == right | {"before": "RECEIVED"}
    assert len(told.revs) == len(set(told.revs)) == 41
    assert told.resets == []
    assert sum("lost touch" in note for note in notes) == 10
    assert sum("again" in note and "in touch" in note for note in notes) == 10


async def test_cut_snapshot_begins_anew_and_is_told_once(
    forgetful: LiveServer, proxy: Callable[[str], Proxy]
) -> None:
    server = forgetful
    line = proxy(server.url)
    async with (
        Herald(line.url, TOKEN) as herald,
        following(herald.watch()) as told,
    ):
        server.tell("received", "old", name="n")
        await wait_until_async(lambda: "old" in told.states)
        line.refuse()
        for n in range(700):
            server.tell("received", f"t{n}", name="n" * 100)
        line.heal()
        line.drip(500_000)
        for _ in range(3):
            await wait_until_async(lambda: line.connections == 1)
            line.cut()
        line.drip(None)
        await wait_until_async(lambda: len(told.states) == 701)
    assert told.resets == ["trimmed"]
    assert len(told.revs) == len(set(told.revs)) + 1 == 702  # "old" stands twice


async def test_server_that_is_away_is_waited_for(
    server: LiveServer, proxy: Callable[[str], Proxy]
) -> None:
    line = proxy(server.url)
    async with (
        Herald(line.url, TOKEN) as herald,
        following(herald.watch()) as told,
    ):
        server.tell("received", "a", name="n")
        await wait_until_async(lambda: "a" in told.states)
        line.refuse()
        server.tell("rejected", "a")
        line.heal()
        await wait_until_async(lambda: told.states == {"a": "REJECTED"})


async def test_lost_history_is_told_as_a_reset(
    forgetful: LiveServer, proxy: Callable[[str], Proxy]
) -> None:
    server = forgetful
    line = proxy(server.url)
    async with (
        Herald(line.url, TOKEN) as herald,
        following(herald.watch(state=["RECEIVED"])) as told,
    ):
        server.tell("received", "old", name="n")
        await wait_until_async(lambda: "old" in told.states)
        line.refuse()
        server.tell("started", "old")
        for n in range(9):
            server.tell("received", f"t{n}", name="n")
        line.heal()
        await wait_until_async(lambda: len(told.states) == 9)
    assert told.resets == ["trimmed"]
    assert "old" not in told.states


async def test_later_watch_goes_on_from_a_cursor(server: LiveServer) -> None:
    server.tell("received", "a", name="n")
    async with Herald(server.url, TOKEN) as herald:
        first = herald.watch()
        async with following(first):
            await wait_until_async(lambda: first.cursor)
        server.tell("received", "b", name="n")
        async with following(herald.watch(since=first.cursor)) as told:
            await wait_until_async(lambda: told.states == {"b": "RECEIVED"})


async def test_watch_of_ids_ends_when_all_are_final(shared: LiveServer) -> None:
    shared.tell("received", "end-1", name="n")
    shared.tell("received", "end-2", name="n")
    seen: dict[str, str] = {}
    async with Herald(shared.url, TOKEN) as herald, asyncio.timeout(30):
        async for change in herald.watch(ids=["end-1", "end-2"]):
            assert isinstance(change, Put)
            seen[change.image.id] = change.image.state
            if change.image.state == "RECEIVED" and len(seen) == 2:
                shared.tell("failed", "end-1", exception="E()")
                shared.tell("succeeded", "end-2", result="1")
    assert seen == {"end-1": "FAILURE", "end-2": "SUCCESS"}


async def test_task_that_leaves_the_filter_is_gone(shared: LiveServer) -> None:
    shared.tell("received", "leaver", name="leaving")
    async with Herald(shared.url, TOKEN) as herald:
        watch = herald.watch(name="leaving", state="RECEIVED")
        async with following(watch) as told:
            await wait_until_async(lambda: "leaver" in told.states)
            shared.tell("started", "leaver")
            await wait_until_async(lambda: Gone("leaver") in told.changes)


async def test_closing_ends_a_watch_that_waits(shared: LiveServer) -> None:
    herald = Herald(shared.url, TOKEN)
    watch = herald.watch(ids="never-heard-of")
    async with following(watch) as told, asyncio.timeout(30):
        await wait_until_async(lambda: watch.cursor)
        await herald.aclose()
    assert told.changes == []


async def test_workers_and_counts_are_topics(server: LiveServer) -> None:
    server.hear_of(worker_of("celery@one", active=2))
    server.tell("received", "a", name="n")
    async with Herald(server.url, TOKEN) as herald, asyncio.timeout(30):
        async with aclosing(herald.watch(topic="workers").__aiter__()) as workers:
            change = await anext(workers)
        assert isinstance(change, Put)
        assert (change.image.id, change.image.active) == ("celery@one", 2)
        async with aclosing(herald.watch(topic="counts").__aiter__()) as counts:
            counted = await anext(counts)
        assert isinstance(counted, Put)
        assert (counted.image.id, counted.image.count) == ("RECEIVED", 1)
