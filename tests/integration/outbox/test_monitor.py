"""A monitor that reads the outbox: what it stores, shows, and calls missed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import pytest
import redis
from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.model.monitors import MonitorView, OutboxView
from herald_core.model.workers.worker import WorkerView
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest.outbox.options import OutboxOptions
from herald_monitor.runtime.monitor import Monitor
from herald_worker.outbox.stream_format import DEFAULT_STREAM
from tests.support.celery.messages import emit
from tests.support.celery.project import make_app
from tests.support.outbox.reading import find_pending
from tests.support.outbox.writing import (
    make_task_event,
    make_worker_event,
    write_entry,
    write_tasks,
)
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(valkey: PrivateValkey) -> Iterator["redis.Redis"]:
    with valkey.client() as made:
        yield made


@pytest.fixture
def app(valkey: PrivateValkey) -> Iterator[Celery]:
    made = make_app(valkey.url)
    yield made
    cast(Any, made).close()


@contextlib.asynccontextmanager
async def monitoring(
    app: Celery, store: MemoryStore, node: str = "m1", **options: Any
) -> AsyncGenerator[Monitor]:
    """Run a monitor that reads the outbox, from when it is connected."""
    monitor = Monitor(
        app,
        store,
        Redactor(),
        node,
        listen_backend=False,
        probe_every=1.0,
        outbox=OutboxOptions(**options),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))
    try:
        await wait_until_async(
            lambda: monitor.make_view().connected, message="connected"
        )
        yield monitor
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def find_outbox(monitor: Monitor) -> OutboxView:
    """Return what the monitor shows of the outbox, once it was found."""

    def read() -> MonitorView:
        return monitor.make_view()

    view = await wait_until_async(
        read, message="found", accept=lambda v: v.outbox is not None and v.outbox.exists
    )
    assert view.outbox is not None
    return view.outbox


async def is_stored(store: MemoryStore, task_id: str, state: str) -> None:
    """Wait until a task is in a state."""
    await wait_until_async(
        lambda: store.get_task(task_id),
        message=f"{task_id} is {state}",
        accept=lambda task: task.state == state,
    )


async def is_shown(store: MemoryStore, hostname: str) -> WorkerView:
    """Wait until a worker is stored."""
    found = await wait_until_async(
        lambda: store.list_workers(now=0.0),
        message=f"{hostname} is stored",
        accept=lambda all_: any(one.hostname == hostname for one in all_),
    )
    return next(one for one in found if one.hostname == hostname)


async def test_events_are_stored_and_counted(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    async with monitoring(app, store) as monitor:
        write_entry(client, [make_task_event("a", "received", name="x")])
        write_entry(client, [make_task_event("a", "started", clock=4)])
        write_entry(client, [make_worker_event()])
        await is_stored(store, "a", "STARTED")
        assert (await is_shown(store, "w@h")).outbox
        await wait_until_async(lambda: find_pending(client) == 0, message="stored")
        shown = await find_outbox(monitor)
        assert shown.connected
        counters = monitor.make_view().counters
        assert counters["outbox_entries"] == 3
        assert counters["outbox_events"] == counters["events"] == 3


async def test_an_event_that_comes_both_ways_is_stored_once(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    event = make_task_event("a", "started")
    async with monitoring(app, store):
        write_entry(client, [event])
        await is_stored(store, "a", "STARTED")
        before = (await store.get_task("a")).rev
        emit(app, event)
        emit(app, make_task_event("b", "started"))
        await is_stored(store, "b", "STARTED")
        after = await store.get_task("a")
        assert (after.rev, after.attempt) == (before, 1)


async def test_starts_of_the_outbox_are_not_counted_against_heartbeats(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    async with monitoring(app, store) as monitor:
        write_entry(client, [make_task_event("a", "started", clock=5)])
        for clock in range(10, 60, 10):
            beat = make_worker_event(clock=clock, processed=clock, active=0)
            write_entry(client, [beat])
            emit(app, beat)
        write_tasks(client, ["end"])
        await is_stored(store, "end", "RECEIVED")
        assert not monitor.make_view().counters["missing"]


async def test_no_gap_where_all_workers_write_to_the_outbox(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    async with monitoring(app, store):
        write_entry(client, [make_worker_event()])
        await is_shown(store, "w@h")
    write_tasks(client, ["a"])
    async with monitoring(app, store, "m2") as monitor:
        await is_stored(store, "a", "RECEIVED")
        # A cut of the broker's events alone is none either.
        client.client_kill_filter(_type="pubsub")
        await wait_until_async(
            lambda: monitor.make_view().counters["reconnects"], message="cut"
        )
        # As long as it takes to find out that no other worker ran.
        await wait_until_async(
            lambda: monitor.make_view().counters["outbox_gaps_avoided"] == 2,
            message="decided",
        )
    assert not await store.list_gaps()


async def test_a_gap_where_a_worker_does_not_write_to_the_outbox(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    async with monitoring(app, store):
        write_entry(client, [make_worker_event()])
        emit(app, make_worker_event(hostname="other@h", outbox=False))
        await is_shown(store, "w@h")
        await is_shown(store, "other@h")
    async with monitoring(app, store, "m2"):
        gaps = await wait_until_async(store.list_gaps, message="a gap")
        assert [gap.reason for gap in gaps] == ["no monitor was running"]


async def test_a_gap_where_the_stream_was_deleted_meanwhile(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    async with monitoring(app, store):
        write_entry(client, [make_worker_event()])
        await is_shown(store, "w@h")
    client.delete(DEFAULT_STREAM)
    async with monitoring(app, store, "m2"):
        gaps = await wait_until_async(store.list_gaps, message="a gap")
        assert [gap.reason for gap in gaps] == ["no monitor was running"]


async def test_a_loss_is_a_gap_and_the_same_one_for_all_monitors(
    app: Celery, client: "redis.Redis"
) -> None:
    store = MemoryStore()
    write_entry(client, [make_task_event("a")], fields={"dropped": 3})

    async def find_dropped() -> list[str]:
        # The second monitor may find that the first has just begun.
        reasons = [gap.reason for gap in await store.list_gaps()]
        return [reason for reason in reasons if "dropped" in reason]

    async with (
        monitoring(app, store) as first,
        monitoring(app, store, "m2", group="another") as second,
    ):
        await wait_until_async(
            lambda: [m.make_view().counters["outbox_dropped"] for m in (first, second)],
            message="both noticed it",
            accept=[3, 3].__eq__,
        )
        [reason] = await wait_until_async(find_dropped, message="a gap")
        assert reason.startswith("3 events were dropped by w@h/7")
    assert len(await find_dropped()) == 1


async def test_nothing_is_up_to_date_while_the_outbox_is_cut(
    app: Celery, client: "redis.Redis", valkey: PrivateValkey, proxy: Any
) -> None:
    way: Proxy = proxy(valkey.url)
    store = MemoryStore()
    async with monitoring(app, store, url=way.url) as monitor:
        write_tasks(client, ["a"])
        await find_outbox(monitor)
        way.refuse()
        await wait_until_async(
            lambda: monitor.make_view().behind_since, 30, "it is behind"
        )
        view = monitor.make_view()
        assert view.connected
        assert view.trouble.startswith("the outbox at redis://")
        way.heal()
        await wait_until_async(
            lambda: not monitor.make_view().behind_since, 30, "it is not"
        )
        assert not monitor.make_view().trouble


async def test_a_right_that_is_missing_is_named(
    app: Celery, client: "redis.Redis", valkey: PrivateValkey
) -> None:
    acl = cast(Any, client).execute_command
    acl("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-xreadgroup")
    write_tasks(client, ["a"])
    url = valkey.url.replace("//", "//u:p@")
    async with monitoring(app, MemoryStore(), url=url) as monitor:
        view = await wait_until_async(
            monitor.make_view, message="trouble", accept=lambda v: v.trouble
        )
        assert "XREADGROUP is not allowed for this user" in view.trouble


async def test_a_broker_without_events_is_left_alone(
    client: "redis.Redis", valkey: PrivateValkey
) -> None:
    app = make_app("sqs://localhost:1")
    store = MemoryStore()
    async with monitoring(app, store, url=valkey.url) as monitor:
        write_tasks(client, ["a"])
        await is_stored(store, "a", "RECEIVED")
        assert monitor.make_view().connected
        valkey.kill()
        await wait_until_async(
            lambda: not monitor.make_view().connected, message="not connected"
        )
    cast(Any, app).close()
