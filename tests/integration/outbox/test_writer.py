"""The thread that writes events to a real server, which fails in every way it can.

The process that makes events never waits: `put` returns at once, whatever is wrong.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery
from redis.cluster import RedisCluster

from herald_worker.outbox.connection import connect
from herald_worker.outbox.settings import OutboxSettings
from herald_worker.outbox.stream_format import DEFAULT_STREAM, EVENTS, get_stream_names
from herald_worker.outbox.writer import StreamWriter
from tests.support.celery.outbox_stream import OutboxReader
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.servers.redis_cluster import cluster
from tests.support.servers.sentinel import sentinel
from tests.support.wait import wait_until

MakeWriter = Callable[..., StreamWriter]


@pytest.fixture
def make_writer(valkey: PrivateValkey) -> Iterator[MakeWriter]:
    made: list[StreamWriter] = []
    app = Celery("writer", broker=valkey.url, set_as_current=False)

    def make(url: str | None = valkey.url, **options: Any) -> StreamWriter:
        settings = OutboxSettings(url=url, **options)
        made.append(StreamWriter(settings, lambda: connect(app, settings)))
        made[-1].start()
        return made[-1]

    yield make
    for writer in made:
        writer.stop()


def put(writer: StreamWriter, numbers: range) -> None:
    for number in numbers:
        begin = time.perf_counter()
        writer.put({"type": "task-sent", "uuid": str(number), "hostname": "h"})
        assert time.perf_counter() - begin < 3, "a task waited for the outbox"


def read_ids(stream: OutboxReader) -> list[int]:
    return [int(event["uuid"]) for event in stream.read_events()]


def test_all_events_arrive_in_their_order(
    make_writer: MakeWriter, stream: OutboxReader
) -> None:
    writer = make_writer()
    put(writer, range(5_000))
    assert writer.drain(5, 1)
    assert read_ids(stream) == list(range(5_000))
    assert {fields["writer"] for fields in stream.read_entries()} == {
        f"h/{os.getpid()}"
    }


def test_one_event_does_not_wait_for_others(
    make_writer: MakeWriter, stream: OutboxReader
) -> None:
    writer = make_writer()
    put(writer, range(1))
    wait_until(lambda: read_ids(stream), 30, "it is there", accept=lambda n: n == [0])


def test_the_broker_holds_the_stream_by_default(
    make_writer: MakeWriter, stream: OutboxReader
) -> None:
    """Kombu makes the client then, with all options of the broker."""
    writer = make_writer(url=None)
    put(writer, range(3))
    assert writer.drain(5, 1)
    assert read_ids(stream) == [0, 1, 2]


def test_several_streams_share_the_tasks(
    valkey: PrivateValkey, make_writer: MakeWriter
) -> None:
    writer = make_writer(streams=3)
    put(writer, range(300))
    assert writer.drain(5, 1)
    with valkey.client() as client:
        found: list[list[int]] = []
        for name in get_stream_names(DEFAULT_STREAM, 3):
            entries = cast(list[Any], client.xrange(name))
            events = [json.loads(fields[EVENTS.encode()]) for _, fields in entries]
            found.append([int(e["uuid"]) for batch in events for e in batch])
            assert client.ttl(name) > 86_400
    assert sorted(n for one in found for n in one) == list(range(300))
    assert all(one and one == sorted(one) for one in found)


def test_a_cluster_holds_the_streams(make_writer: MakeWriter, tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        writer = make_writer(url=nodes.url, streams=5)
        put(writer, range(500))
        assert writer.drain(10, 5)
        client: Any = cast(Any, RedisCluster)(
            host="127.0.0.1", port=nodes.nodes[0].port
        )
        names = get_stream_names(DEFAULT_STREAM, 5)
        assert sum(len(read_stream(client, name)) for name in names) == 500
        client.close()


def read_stream(client: Any, name: str) -> list[dict[str, Any]]:
    return [
        event
        for _, fields in client.xrange(name)
        for event in json.loads(fields[EVENTS.encode()])
    ]


def test_the_primary_moves_and_is_followed(
    valkey: PrivateValkey, make_writer: MakeWriter, tmp_path: Path
) -> None:
    with private_valkey() as other:
        replica = cast(Any, other.client())
        replica.replicaof("127.0.0.1", valkey.port)
        with sentinel(valkey, tmp_path) as port:
            url = f"redis+sentinel://127.0.0.1:{port}/mymaster"
            writer = make_writer(url=url)
            put(writer, range(100))
            assert writer.drain(10, 5)
            # A primary begins to send after `repl-diskless-sync-delay`, 5 s.
            wait_until(lambda: replica.xlen(DEFAULT_STREAM), 30, "it is replicated")
            valkey.kill()
            put(writer, range(100, 200))
            wait_until(lambda: writer.drain(1, 1), 30, "the other one has it")
            events = read_stream(replica, DEFAULT_STREAM)
            assert [int(event["uuid"]) for event in events] == list(range(200))
        replica.close()


@pytest.mark.parametrize("url", ["its own", "the broker's"])
def test_what_is_made_while_redis_is_away_is_written_later(
    url: str,
    valkey: PrivateValkey,
    make_writer: MakeWriter,
    stream: OutboxReader,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = make_writer(url=valkey.url if url == "its own" else None)
    put(writer, range(10))
    assert writer.drain(5, 1)
    valkey.kill()
    with caplog.at_level(logging.WARNING):
        put(writer, range(10, 1_000))
        wait_until(lambda: writer.is_failing, 30, "it is noticed")
        begin = time.monotonic()
        assert not writer.drain(5, 0.2), "the end of a process does not wait for long"
        assert time.monotonic() - begin < 4.5
        put(writer, range(1_000, 2_000))
        valkey.restart()
        assert wait_until(lambda: writer.drain(5, 5), 30, "it is written")
    assert read_ids(stream) == list(range(10, 2_000))
    cannot, again = (record.getMessage() for record in caplog.records)
    assert "outbox cannot write events" in cannot, "it is told once"
    assert "writes events again" in again


def test_a_frozen_redis_loses_nothing(
    valkey: PrivateValkey,
    make_writer: MakeWriter,
    stream: OutboxReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("herald_worker.outbox.connection.ANSWER_TIMEOUT_S", 0.3)
    writer = make_writer(url=None)
    put(writer, range(10))
    assert writer.drain(5, 1)
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        put(writer, range(10, 500))
        wait_until(lambda: writer.is_failing, 30, "it is noticed")
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    assert wait_until(lambda: writer.drain(5, 5), 30, "it is written")
    # What was sent may have been taken without an answer, and is then there twice.
    assert sorted({*read_ids(stream)}) == list(range(500))


def test_a_black_hole_loses_nothing(
    valkey: PrivateValkey,
    make_writer: MakeWriter,
    stream: OutboxReader,
    proxy: Callable[[str], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeouts = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3}
    for name, value in timeouts.items():
        monkeypatch.setitem(_timeouts(), name, value)
    line = proxy(valkey.url)
    writer = make_writer(url=line.url)
    put(writer, range(10))
    assert writer.drain(5, 1)
    with line.swallow():
        put(writer, range(10, 500))
        wait_until(lambda: writer.is_failing, 30, "it is noticed")
    line.heal()
    assert wait_until(lambda: writer.drain(5, 5), 30, "it is written")
    assert sorted({*read_ids(stream)}) == list(range(500))


def _timeouts() -> dict[str, Any]:
    from herald_worker.outbox import connection

    return connection.TIMEOUTS


def refuse_writes(client: redis.Redis, what: str) -> Callable[[], object]:
    """Let the server answer as if something were wrong; return what heals it."""
    if what == "OOM":
        client.config_set("maxmemory", "1")
        return partial(client.config_set, "maxmemory", "0")
    if what == "READONLY":
        client.replicaof("127.0.0.1", "1")
        return partial(client.replicaof, "NO", "ONE")
    client.config_set("requirepass", "secret")
    return partial(client.config_set, "requirepass", "")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("OOM", "maxmemory"),
        ("READONLY", "read only replica"),
        ("NOAUTH", "password is missing or wrong"),
    ],
)
def test_a_server_that_refuses_is_asked_again(
    what: str,
    said: str,
    valkey: PrivateValkey,
    make_writer: MakeWriter,
    stream: OutboxReader,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = make_writer()
    with valkey.client() as client:
        client.ping()
        heal = refuse_writes(client, what)
        put(writer, range(400))
        wait_until(lambda: writer.is_failing, 30, "it is noticed")
        heal()
        assert wait_until(lambda: writer.drain(5, 5), 30, "it is written")
    assert read_ids(stream) == list(range(400))
    assert said in caplog.records[0].getMessage()


def test_a_full_memory_drops_the_oldest_and_tells_how_many(
    valkey: PrivateValkey, make_writer: MakeWriter, stream: OutboxReader
) -> None:
    writer = make_writer(max_events=100)
    valkey.kill()
    put(writer, range(1))
    wait_until(lambda: writer.is_failing, 30, "it is noticed")
    put(writer, range(1, 1_000))
    valkey.restart()
    assert wait_until(lambda: writer.drain(5, 5), 30, "it is written")
    assert read_ids(stream) == [0, *range(900, 1_000)]
    assert stream.count_dropped() == 899


def test_the_stream_is_bounded_by_entries_and_by_bytes(
    valkey: PrivateValkey, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_worker.outbox.appender.CARE_EVERY_S", 0.0)
    with valkey.client() as client:
        for bounds in ({"maxlen": 500}, {"max_bytes": 200_000}):
            client.delete(DEFAULT_STREAM)
            writer = make_writer(**bounds)
            for number in range(1_000):
                # 200 events are an entry.
                put(writer, range(number * 200, number * 200 + 200))
                if number % 10 == 9:
                    assert writer.drain(5, 1)
            size = cast(int, client.memory_usage(DEFAULT_STREAM, samples=0))
            entries = client.xlen(DEFAULT_STREAM)
            # Trimming is approximate: whole nodes of 100 entries, or of 4 KB, go.
            assert entries < 700
            if "max_bytes" in bounds:
                assert size < 400_000
