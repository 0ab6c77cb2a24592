"""The Python client against a real server, over connections that break."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

import pytest
from celery import Celery

from herald_monitor.errors import BadInput
from herald_monitor.memory import MemoryStore
from herald_monitor.model.shape import TaskImage
from herald_server.client import (
    Change,
    Forgotten,
    Gone,
    Herald,
    Put,
    Refused,
    Reset,
    ServerProblem,
    TimedOut,
    Unreachable,
    Watch,
)
from tests.conftest import AppFactory
from tests.live_server import TOKEN, LiveServer, live_server, worker_of
from tests.proxy import Proxy
from tests.servers import PrivateValkey

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


async def settled(predicate: Callable[[], object]) -> None:
    """Wait until `predicate` is true."""
    async with asyncio.timeout(10):
        while not predicate():
            await asyncio.sleep(0.005)


class Told:
    """All that a watch tells, gathered beside the test."""

    def __init__(self) -> None:
        self.changes: list[Change[TaskImage]] = []

    @property
    def tasks(self) -> dict[str, TaskImage]:
        """What a program that follows the changes has now."""
        known: dict[str, TaskImage] = {}
        for change in self.changes:
            match change:
                case Put(task):
                    known[task.id] = task
                case Gone(id_):
                    known.pop(id_, None)
                case Reset():
                    known.clear()
        return known

    @property
    def states(self) -> dict[str, str]:
        """Id → state."""
        return {id_: task.state for id_, task in self.tasks.items()}

    def has(self, id_: str) -> bool:
        """Whether a task is among the tasks."""
        return id_ in self.tasks

    @property
    def revs(self) -> list[str]:
        """The revs of all puts."""
        return [c.image.rev or "" for c in self.changes if isinstance(c, Put)]

    @property
    def resets(self) -> list[str]:
        """The reasons of all resets."""
        return [c.reason for c in self.changes if isinstance(c, Reset)]


@asynccontextmanager
async def following(watch: Watch[TaskImage]) -> AsyncGenerator[Told, None]:
    """Gather what `watch` tells until the end of the block."""
    told = Told()

    async def gather() -> None:
        async for change in watch:
            told.changes.append(change)

    gathering = asyncio.create_task(gather())
    try:
        yield told
    finally:
        gathering.cancel()
        done = await asyncio.gather(gathering, return_exceptions=True)
        if isinstance(done[0], Exception):
            raise done[0]


async def test_tells_what_there_is_and_what_becomes_of_it(server: LiveServer) -> None:
    server.tell("received", "a", name="n")
    async with (
        Herald(server.url, TOKEN) as herald,
        following(herald.watch()) as told,
    ):
        await settled(lambda: told.states == {"a": "RECEIVED"})
        server.tell("started", "a")
        server.tell("received", "b", name="n")
        await settled(lambda: told.states == {"a": "STARTED", "b": "RECEIVED"})
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
        await settled(lambda: "before" in told.states)
        for n in range(10):
            server.tell("received", f"t{n}", name="n")
            server.tell("started", f"t{n}")
            line.cut()
            server.tell("succeeded", f"t{n}", result="1")
            server.tell("received", f"u{n}", name="n")
            await settled(partial(told.has, f"u{n}"))
    right = {f"t{n}": "SUCCESS" for n in range(10)}
    right |= {f"u{n}": "RECEIVED" for n in range(10)}
    assert told.states == right | {"before": "RECEIVED"}
    assert len(told.revs) == len(set(told.revs)) == 41
    assert told.resets == []
    assert sum("lost touch" in note for note in notes) == 10
    assert sum("again" in note and "in touch" in note for note in notes) == 10


async def test_cut_snapshot_begins_anew_and_is_told_once(
    proxy: Callable[[str], Proxy],
) -> None:
    with live_server(store=MemoryStore(log_length=5)) as server:
        line = proxy(server.url)
        async with (
            Herald(line.url, TOKEN) as herald,
            following(herald.watch()) as told,
        ):
            server.tell("received", "old", name="n")
            await settled(lambda: "old" in told.states)
            line.refuse()
            for n in range(700):
                server.tell("received", f"t{n}", name="n" * 100)
            line.heal()
            line.drip(500_000)
            for _ in range(3):
                await settled(lambda: line.connections == 1)
                line.cut()
            line.drip(None)
            await settled(lambda: len(told.states) == 701)
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
        await settled(lambda: "a" in told.states)
        line.refuse()
        server.tell("rejected", "a")
        line.heal()
        await settled(lambda: told.states == {"a": "REJECTED"})


async def test_lost_history_is_told_as_a_reset(proxy: Callable[[str], Proxy]) -> None:
    with live_server(store=MemoryStore(log_length=5)) as server:
        line = proxy(server.url)
        async with (
            Herald(line.url, TOKEN) as herald,
            following(herald.watch(state=["RECEIVED"])) as told,
        ):
            server.tell("received", "old", name="n")
            await settled(lambda: "old" in told.states)
            line.refuse()
            server.tell("started", "old")
            for n in range(9):
                server.tell("received", f"t{n}", name="n")
            line.heal()
            await settled(lambda: len(told.states) == 9)
    assert told.resets == ["trimmed"]
    assert "old" not in told.states


async def test_later_watch_goes_on_from_a_cursor(server: LiveServer) -> None:
    server.tell("received", "a", name="n")
    async with Herald(server.url, TOKEN) as herald:
        first = herald.watch()
        async with following(first):
            await settled(lambda: first.cursor)
        server.tell("received", "b", name="n")
        async with following(herald.watch(since=first.cursor)) as told:
            await settled(lambda: told.states == {"b": "RECEIVED"})


async def test_watch_of_ids_ends_when_all_are_final(shared: LiveServer) -> None:
    shared.tell("received", "end-1", name="n")
    shared.tell("received", "end-2", name="n")
    seen: dict[str, str] = {}
    async with Herald(shared.url, TOKEN) as herald, asyncio.timeout(10):
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
            await settled(lambda: "leaver" in told.states)
            shared.tell("started", "leaver")
            await settled(lambda: Gone("leaver") in told.changes)


async def test_closing_ends_a_watch_that_waits(shared: LiveServer) -> None:
    herald = Herald(shared.url, TOKEN)
    watch = herald.watch(ids="never-heard-of")
    async with following(watch) as told, asyncio.timeout(5):
        await settled(lambda: watch.cursor)
        await herald.aclose()
    assert told.changes == []


async def test_workers_and_counts_are_topics(server: LiveServer) -> None:
    server.hear_of(worker_of("celery@one", active=2))
    server.tell("received", "a", name="n")
    async with Herald(server.url, TOKEN) as herald, asyncio.timeout(10):
        async with aclosing(herald.watch(topic="workers").__aiter__()) as workers:
            change = await anext(workers)
        assert isinstance(change, Put)
        assert (change.image.id, change.image.active) == ("celery@one", 2)
        async with aclosing(herald.watch(topic="counts").__aiter__()) as counts:
            counted = await anext(counts)
        assert isinstance(counted, Put)
        assert (counted.image.id, counted.image.count) == ("RECEIVED", 1)


async def test_wait_returns_the_ending(shared: LiveServer) -> None:
    shared.tell("received", "w1", name="n")
    async with Herald(shared.url, TOKEN) as herald:
        waiting = asyncio.create_task(herald.wait("w1", timeout=10))
        await asyncio.sleep(0)
        shared.tell("succeeded", "w1", result="42")
        task = await waiting
        assert (task.state, task.result) == ("SUCCESS", "42")
        assert (await herald.wait("w1", timeout=10)).rev == task.rev


async def test_wait_for_an_unheard_task_hears_of_it(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald, asyncio.timeout(10):
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
        assert (await herald.wait("w4", timeout=10)).state == "LOST"


async def test_wait_for_a_forgotten_task_says_so() -> None:
    with live_server(store=MemoryStore(keep_unfinished=0.01)) as server:
        server.tell("received", "w5", name="n")
        async with Herald(server.url, TOKEN) as herald:
            waiting = asyncio.create_task(herald.wait("w5", timeout=10))
            await settled(lambda: server.do(server.store.sweep(now=2e9)))
            with pytest.raises(Forgotten, match="ran out"):
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


async def test_problem_of_the_server_is_its_sentence(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald:
        with pytest.raises(ServerProblem, match="HERALD_BROKER_URL") as raised:
            await herald.start("metrics_snapshot", {})
        assert raised.value.code == 503
        with pytest.raises(ServerProblem, match="after must be an RFC 3339 time"):
            _ = [task async for task in herald.tasks(after="yesterday")]


async def test_filter_that_makes_no_sense_is_said(shared: LiveServer) -> None:
    async with Herald(shared.url, TOKEN) as herald:
        with pytest.raises(BadInput, match="did you mean 'SUCCESS'"):
            herald.watch(state="SUCESS")


Use = Callable[[Herald], Awaitable[object]]


async def watch_once(herald: Herald) -> object:
    """Use the channel."""
    async with aclosing(herald.watch().__aiter__()) as changes:
        return await anext(changes)


DOORS = [watch_once, Herald.stats]


@pytest.mark.parametrize("use", DOORS)
@pytest.mark.parametrize(
    ("token", "sentence"),
    [("wrong", "does not know this token"), (None, "wants to be told a token")],
)
async def test_wrong_token_is_refused_at_once(
    shared: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    use: Use,
    token: str | None,
    sentence: str,
) -> None:
    monkeypatch.delenv("HERALD_TOKEN", raising=False)
    async with Herald(shared.url, token) as herald, asyncio.timeout(5):
        with pytest.raises(Refused, match=sentence) as raised:
            await use(herald)
    assert raised.value.code in (401, 4401)
    assert "HERALD_TOKEN" in str(raised.value)


@pytest.mark.parametrize("use", DOORS)
async def test_server_that_is_down_is_said(use: Use) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        async with Herald(url, TOKEN) as herald:
            with pytest.raises(Unreachable, match=r"\(connection refused\)") as raised:
                await use(herald)
    assert url in str(raised.value)


@pytest.mark.parametrize("use", DOORS)
@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"])
async def test_what_is_no_herald_is_said(use: Use, answer: bytes) -> None:
    async def greet(_: asyncio.StreamReader, line: asyncio.StreamWriter) -> None:
        line.write(answer)
        line.close()

    strange = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with strange:
        port = strange.sockets[0].getsockname()[1]
        async with Herald(f"http://127.0.0.1:{port}/", TOKEN) as herald:
            with pytest.raises(Unreachable, match="no Herald answers"):
                await use(herald)


@pytest.mark.parametrize("use", DOORS)
async def test_wrong_path_is_said(shared: LiveServer, use: Use) -> None:
    async with Herald(shared.url + "elsewhere/", TOKEN) as herald:
        with pytest.raises((ServerProblem, Refused), match="elsewhere"):
            await use(herald)
