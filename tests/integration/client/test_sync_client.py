"""The client without asyncio, against a real server."""

import threading
from collections.abc import Iterator

import pytest

from herald_client import AccessRefused, Gone, Put, SyncHerald, TimedOut, Unreachable
from herald_core.errors import InvalidInput
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveServer]:
    """A server for tests that do not count tasks."""
    with live_server() as server:
        yield server


@pytest.fixture
def herald(shared: LiveServer) -> Iterator[SyncHerald]:
    """A client of it."""
    with SyncHerald(shared.url, TOKEN) as client:
        yield client


def test_it_reads_tasks_and_figures(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "r1", name="read.these")
    shared.tell("received", "r2", name="read.these")
    assert herald.task("r1").state == "RECEIVED"
    assert {task.id for task in herald.tasks(name="read.*")} == {"r1", "r2"}
    assert len([*herald.tasks(name="read.*", limit=1)]) == 1
    assert herald.stats().counts["RECEIVED"] >= 2
    assert herald.health()["status"]
    assert herald.why("r1")["reason"]


def test_it_reads_an_export_in_pieces(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "e1", name="export.this")
    text = b"".join(herald.export(columns=["id"], name="export.*"))
    assert text.split() == [b"id", b"e1"]


def test_wait_returns_the_ending(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "w1", name="n")
    timer = threading.Timer(0.1, lambda: shared.tell("succeeded", "w1", result="42"))
    timer.start()
    assert herald.wait("w1", timeout=30).state == "SUCCESS"
    timer.join()


def test_wait_ends_in_time(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "w2", name="n")
    with pytest.raises(TimedOut, match="still RECEIVED") as told:
        herald.wait("w2", timeout=0.05)
    assert told.value.task.id == "w2"


def test_a_watch_tells_what_there_is_and_what_becomes_of_it(
    shared: LiveServer, herald: SyncHerald
) -> None:
    shared.tell("received", "a", name="watched")
    told: list[str] = []
    for change in herald.watch(name="watched"):
        assert isinstance(change, Put)
        told.append(change.image.state)
        if change.image.final:
            break
        shared.tell("succeeded", "a", result="1")
    assert told == ["RECEIVED", "SUCCESS"]


def test_another_thread_ends_a_watch(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "b", name="ended")
    watch, told = herald.watch(name="ended"), list[object]()
    reader = threading.Thread(target=lambda: told.extend(watch))
    reader.start()
    wait_until(lambda: watch.cursor is not None or bool(told), 30, "it is read")
    watch.close()
    reader.join(30)
    assert not reader.is_alive()
    assert not any(isinstance(one, Gone) for one in told)


def test_it_resumes_at_a_cursor(shared: LiveServer, herald: SyncHerald) -> None:
    shared.tell("received", "c", name="resumed")
    first = herald.watch(name="resumed")
    assert next(iter(first))
    wait_until(lambda: bool(first.receive(1.0)) or first.cursor is not None)
    first.close()
    shared.tell("started", "c")
    again = next(iter(herald.watch(name="resumed", since=first.cursor)))
    assert isinstance(again, Put)
    assert again.image.state == "STARTED"


def test_errors_are_those_of_the_other_client(shared: LiveServer) -> None:
    with SyncHerald(shared.url, "wrong") as herald:
        with pytest.raises(AccessRefused, match="does not know this token"):
            herald.stats()
        with pytest.raises(AccessRefused, match="does not know this token"):
            next(iter(herald.watch()))
        with pytest.raises(InvalidInput, match="did you mean"):
            herald.watch(stat="x")  # type: ignore[call-overload]
    with (
        SyncHerald("http://127.0.0.1:9/", "t") as herald,
        pytest.raises(Unreachable, match="connection refused"),
    ):
        herald.stats()
