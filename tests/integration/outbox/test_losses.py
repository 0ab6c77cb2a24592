"""Every entry that can never be stored is a gap that says how many."""

from typing import Any, cast

import pytest
import redis
from celery import Celery

from herald_monitor.ingest.outbox import stream_info, stream_reader
from herald_worker.outbox.stream_format import (
    DEFAULT_GROUP,
    DEFAULT_STREAM,
    DROPPED,
    DROPPED_SINCE,
)
from tests.support.outbox.reading import reading, wait_acknowledged
from tests.support.outbox.writing import make_task_event, write_entry, write_tasks
from tests.support.wait import wait_until


def trim(client: "redis.Redis", length: int) -> None:
    """Leave the newest entries, as a worker's MAXLEN does."""
    cast(Any, client).xtrim(DEFAULT_STREAM, maxlen=length, approximate=False)


def test_what_was_trimmed_beyond_the_position_is_counted_once(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a", "b"])
    with reading(app) as here:
        here.has(["a", "b"])
    write_tasks(client, [f"lost{n}" for n in range(7)] + ["c", "d"])
    trim(client, 2)
    with reading(app) as here:
        here.has(["c", "d"])
        [loss] = here.reports()
        assert loss.reason.startswith("7 entries were trimmed")
        assert here.reader.count("lost") == 7
        write_tasks(client, ["e"])
        here.has(["c", "d", "e"])
    # Whatever Redis counted meanwhile, it is not reported again.
    write_tasks(client, ["lost", "f"])
    trim(client, 1)
    with reading(app, "m2") as here:
        here.has(["f"])
        [loss] = here.reports()
        assert loss.reason.startswith("1 entry was trimmed")


def test_a_stream_that_was_trimmed_empty_lost_all_that_was_unread(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a"])
    with reading(app) as here:
        here.has(["a"])
    write_tasks(client, ["b", "c", "d"])
    trim(client, 0)
    with reading(app) as here:
        [loss] = here.reports()
        assert loss.reason.startswith("3 entries were trimmed")


def test_what_was_trimmed_before_there_was_a_store_is_no_loss(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a", "b", "c"])
    trim(client, 1)
    with reading(app, expects_history=False) as here:
        here.has(["c"])
        wait_acknowledged(client)
        assert not here.losses


def test_what_was_trimmed_while_no_group_was_there_is_a_loss_for_a_store(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a", "b", "c"])
    trim(client, 1)
    with reading(app) as here:
        here.has(["c"])
        [loss] = here.reports()
        assert loss.reason.startswith("2 entries were trimmed")


def test_an_entry_that_was_deleted_while_it_was_pending_is_a_loss(
    app: Celery, client: "redis.Redis"
) -> None:
    ids = write_tasks(client, ["a", "b", "c"])
    with reading(app, stores=False) as here:
        here.has(["a", "b", "c"])
    client.xdel(DEFAULT_STREAM, ids[1])
    with reading(app) as here:
        here.has(["a", "c"])
        [loss] = here.reports()
        assert loss.reason.startswith("1 entry was deleted")
        wait_acknowledged(client)


def test_an_entry_that_was_deleted_under_a_dead_consumer_is_a_loss(
    app: Celery, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_info, "CLAIM_AFTER_MS", 1_500)
    monkeypatch.setattr(stream_reader, "CHECK_INTERVAL_S", 0.2)
    ids = write_tasks(client, ["a", "b", "c", "d"])
    with reading(app, "m1", stores=False) as here:
        here.has(["a", "b", "c", "d"])
    client.xdel(DEFAULT_STREAM, ids[2])
    trim(client, 2)
    with reading(app, "m2") as here:
        here.has(["b", "d"])
        [loss] = here.reports()
        assert loss.reason.startswith("2 entries were deleted")
        wait_acknowledged(client)


def test_a_deleted_stream_is_a_loss_of_an_unknown_number(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a", "b"])
    with reading(app) as here:
        here.has(["a", "b"])
        wait_until(lambda: here.reader.exists, message="it looked")
        client.delete(DEFAULT_STREAM)
        [loss] = here.reports()
        assert loss.reason.startswith("an unknown number of entries")
        write_tasks(client, ["c"])
        here.has(["a", "b", "c"])
        wait_acknowledged(client)
        assert len(here.losses) == 1


def test_a_stream_that_was_replaced_between_two_looks_is_a_loss(
    app: Celery, client: "redis.Redis"
) -> None:
    write_tasks(client, ["a", "b"])
    with reading(app) as here:
        here.has(["a", "b"])
        wait_until(lambda: here.reader.exists, message="it looked")
        with client.pipeline() as pipe:
            pipe.delete(DEFAULT_STREAM)
            cast(Any, pipe).xadd(DEFAULT_STREAM, {"events": "[]"})
            cast(Any, pipe).xgroup_create(DEFAULT_STREAM, DEFAULT_GROUP, "0")
            pipe.execute()
        [loss] = here.reports()
        assert loss.reason.startswith("an unknown number of entries")


def test_a_deleted_group_loses_nothing(app: Celery, client: "redis.Redis") -> None:
    write_tasks(client, ["a", "b"])
    with reading(app) as here:
        here.has(["a", "b"])
        cast(Any, client).xgroup_destroy(DEFAULT_STREAM, DEFAULT_GROUP)
        write_tasks(client, ["c"])
        # It reads all again: merging the same event twice changes nothing.
        here.has(["a", "b", "a", "b", "c"])
        wait_acknowledged(client)
        assert not here.losses


def test_events_that_a_process_dropped_are_a_loss_that_names_it(
    app: Celery, client: "redis.Redis"
) -> None:
    said: dict[str, object] = {DROPPED: 12, DROPPED_SINCE: "1800000000.5"}
    write_entry(client, [make_task_event("a")], fields=said)
    with reading(app) as here:
        here.has(["a"])
        [loss] = here.reports()
        assert loss.reason.startswith("12 events were dropped by w@h/7")
        assert here.reader.count("dropped") == 12
        assert not here.reader.count("lost")
