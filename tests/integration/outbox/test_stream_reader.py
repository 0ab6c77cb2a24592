"""The reader of the outbox on each kind of server: reads, acknowledges, claims."""

from typing import Any, cast

import pytest
import redis
from celery import Celery

from herald_monitor.ingest.outbox import stream_info, stream_reader, stream_upkeep
from herald_monitor.ingest.outbox.consumer_group import READ_ENTRIES
from herald_worker.outbox.stream_format import (
    DEFAULT_GROUP,
    DEFAULT_STREAM,
    get_stream_names,
)
from tests.support.outbox.reading import (
    Reading,
    find_pending,
    reading,
    wait_acknowledged,
)
from tests.support.outbox.writing import (
    make_task_event,
    make_worker_event,
    write_entry,
    write_tasks,
)
from tests.support.wait import wait_until


@pytest.fixture
def claims_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let silence of one and a half seconds count as death."""
    monkeypatch.setattr(stream_info, "CLAIM_AFTER_MS", 1_500)
    monkeypatch.setattr(stream_reader, "CHECK_INTERVAL_S", 0.2)


def test_it_waits_for_the_stream_without_creating_it(
    app: Celery, client: "redis.Redis"
) -> None:
    with reading(app) as here:
        wait_until(lambda: here.reader.has_checked, message="it looked")
        assert not client.exists(DEFAULT_STREAM)
        assert not here.reader.exists
        write_tasks(client, ["a"])
        here.has(["a"])
        wait_until(lambda: here.reader.exists, message="it is found")


def test_what_was_written_before_is_read_with_its_times_and_acknowledged(
    app: Celery, client: "redis.Redis"
) -> None:
    ids = write_tasks(client, [f"t{n}" for n in range(2 * READ_ENTRIES + 1)])
    with reading(app) as here:
        here.has([f"t{n}" for n in range(2 * READ_ENTRIES + 1)])
        heard = [int(one.partition(b"-")[0]) / 1000 for one in ids]
        assert [at for _, at in here.batches] == heard
        wait_acknowledged(client)
        assert not here.losses
        assert not here.reader.has_position


def test_a_stopped_reader_leaves_no_consumer(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    with reading(app) as here:
        here.has(["a"])
    assert not cast(Any, client).xinfo_consumers(DEFAULT_STREAM, DEFAULT_GROUP)
    assert find_pending(client) == 0


def test_a_started_reader_goes_on_where_another_stopped(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    with reading(app) as here:
        here.has(["a"])
    write_tasks(client, ["b"])
    with reading(app, "m2") as here:
        here.has(["b"])
        assert here.reader.has_position
        assert not here.losses


def test_invalid_events_are_set_aside_alone(app: Celery, client: "redis.Redis") -> None:
    good, odd = make_task_event("a"), make_task_event("b", args=["no", "text"])
    write_entry(client, [good, 7, {"no": "type"}, odd])
    write_entry(client, b"no JSON")
    cast(Any, client).xadd(DEFAULT_STREAM, {"nothing": "here"})
    write_tasks(client, ["c"])
    with reading(app) as here:
        here.has(["a", "b", "c"])
        wait_acknowledged(client)
        assert len(here.invalid) == 4


def test_an_own_pending_entry_is_read_again_after_a_restart(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    with reading(app, stores=False) as here:
        here.has(["a"])
    write_tasks(client, ["b"])
    with reading(app) as here:
        here.has(["a", "b"])
        wait_acknowledged(client)


def test_a_cut_connection_repeats_nothing_that_is_on_its_way(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    with reading(app, stores=False) as here:
        here.has(["a"])
        for one in cast(Any, client).client_list():
            if one["cmd"] == "xreadgroup":
                cast(Any, client).client_kill(one["addr"])
        wait_until(lambda: here.reader.count("reconnects"), message="cut")
        write_tasks(client, ["b"])
        here.has(["a", "b"])
        here.store_all()
        wait_acknowledged(client)
        assert not here.losses


@pytest.mark.usefixtures("claims_soon")
def test_entries_of_a_dead_consumer_are_claimed(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    write_tasks(client, ["b"])
    with reading(app, "m1", stores=False) as here:
        here.has(["a", "b"])
    with reading(app, "m2") as other:
        other.has(["a", "b"])
        wait_acknowledged(client)
        assert other.reader.count("claimed") == 2


@pytest.mark.usefixtures("claims_soon")
def test_nobody_claims_from_a_living_consumer_that_takes_no_more(
    app: Celery, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "herald_monitor.ingest.outbox.outbox_reader.MAX_UNCONFIRMED_EVENTS", 1
    )
    write_tasks(client, ["a"])
    with reading(app, "m1", stores=False) as here, reading(app, "m2") as other:
        wait_until(lambda: here.ids + other.ids == ["a"], message="one has it")
        here.store_all()
        here.stores = other.stores = False
        more = [f"t{n}" for n in range(3)]
        write_tasks(client, more)
        # Who has one takes no more, so that the last may stay in the stream.
        wait_until(lambda: len(here.ids + other.ids) > 1, message="one has more")
        lag = wait_until(
            lambda: max(
                here.reader.make_view().lag_ms, other.reader.make_view().lag_ms
            ),
            accept=lambda ms: ms > 2_500,
        )
        assert lag
        assert not here.reader.count("claimed")
        assert not other.reader.count("claimed")
        here.store_all()
        other.store_all()
        wait_acknowledged(client)


def test_entries_wait_in_redis_while_too_many_are_unconfirmed(
    app: Celery, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "herald_monitor.ingest.outbox.outbox_reader.MAX_UNCONFIRMED_EVENTS", 10
    )
    ids = [f"t{n}" for n in range(3 * READ_ENTRIES)]
    write_tasks(client, ids)
    with reading(app, stores=False) as here:
        here.has(ids[:READ_ENTRIES])
        wait_until(
            lambda: here.reader.make_view().unread == 2 * READ_ENTRIES,
            message="the others are unread",
        )
        assert here.reader.get_read_until(2e9) < 2e9
        here.store_all()
        here.has(ids)
        wait_acknowledged(client)


def test_headers_are_decoded_where_writers_share_the_work(
    app: Celery, client: "redis.Redis"
) -> None:
    write_entry(client, [make_task_event("a"), make_worker_event()])
    with reading(app) as here:
        here.has(["a"])
        here.reader.headers_only = True
        write_entry(client, [make_task_event("b"), make_worker_event()])
        here.has(["a", "b"])
    kinds = [type(one).__name__ for events, _ in here.batches for one in events]
    assert kinds == ["DecodedEvent", "dict", "EventHeader", "dict"]


def test_each_of_several_streams_is_read(app: Celery, client: "redis.Redis") -> None:
    with reading(app, streams=2) as here:
        write_tasks(client, ["a"], f"{DEFAULT_STREAM}:0")
        here.has(["a"])
        write_tasks(client, ["b"], f"{DEFAULT_STREAM}:1")
        here.has(["a", "b"])
        assert here.reader.make_view().streams == 2


def test_old_entries_that_all_groups_have_stored_are_trimmed(
    app: Celery, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_upkeep, "TRIM_INTERVAL_S", 0.1)
    ids = [f"t{n}" for n in range(1_000)]
    write_tasks(client, ids)
    cast(Any, client).xgroup_create(DEFAULT_STREAM, "other", "0")
    with reading(app, keep=0.0) as here:
        here.has(ids)
        wait_acknowledged(client)
        assert cast(Any, client).xlen(DEFAULT_STREAM) == 1_000
        cast(Any, client).xgroup_destroy(DEFAULT_STREAM, "other")
        wait_until(lambda: here.reader.count("trimmed") >= 800, message="trimmed")
        write_tasks(client, ["more"])
        here.has([*ids, "more"])
        assert not here.losses


def list_own(here: Reading) -> list[int]:
    """Return the numbers of the streams that a monitor reads."""
    readers = here.reader._readers  # pyright: ignore[reportPrivateUsage]
    return [
        number
        for number, one in enumerate(readers)
        if one._turn.is_own  # pyright: ignore[reportPrivateUsage]
    ]


@pytest.mark.usefixtures("claims_soon")
def test_several_streams_are_divided_among_monitors(
    app: Celery, client: "redis.Redis"
) -> None:
    """All events of a task are in one stream, so that one monitor has them all."""
    names = get_stream_names(DEFAULT_STREAM, 4)
    for name in names:
        write_tasks(client, [f"first of {name}"], stream=name)
    with reading(app, "m1", streams=4) as here:
        with reading(app, "m2", streams=4) as other:
            wait_until(
                lambda: (list_own(here), list_own(other)) == ([0, 2], [1, 3]),
                message="each reads two",
            )
            before = len(here.ids), len(other.ids)
            for name in names:
                write_tasks(client, [f"second of {name}"], stream=name)
            wait_until(lambda: len(here.ids + other.ids) == 8, message="all are read")
            own = [f"second of {names[n]}" for n in (0, 2)]
            assert sorted(here.ids[before[0] :]) == own
        wait_until(lambda: list_own(here) == [0, 1, 2, 3], message="it reads all")
        write_tasks(client, ["third"], stream=names[3])
        wait_until(lambda: "third" in here.ids, message="it takes over")
