"""With durable events on RabbitMQ, a monitor that is away misses nothing."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from herald_core.errors import StoreUnreachable
from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_core.store.redis.store import RedisStore
from herald_core.store.types import WriteResult
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack, AckTracker
from herald_monitor.ingest.consumers.durable_queue import PREFETCH_COUNT, DurableQueue
from herald_monitor.ingest.recorder import Recorder
from tests.support.celery.event_receiver import hearing
from tests.support.celery.messages import emit, send
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.herald.monitor_process import (
    MonitorProcess,
    all_final,
    heard_by,
    open_store,
)
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = [pytest.mark.celery, pytest.mark.anyio]

MonitorFactory = Callable[..., MonitorProcess]
KEPT = DurableQueue("kept")
TIMES = ("submitted_at", "received_at", "started_at", "finished_at")


def event(number: int) -> dict[str, object]:
    """Return an event that tells its number."""
    return {"type": "task-x", "uuid": str(number)}


@pytest.fixture
def monitors(tmp_path: Path) -> Iterator[MonitorFactory]:
    """Make monitors that end with the test: `monitors(app, store_url, node)`."""
    made: list[MonitorProcess] = []

    def make(app: Any, store_url: str, node: str, **env: str) -> MonitorProcess:
        made.append(
            MonitorProcess(app, store_url, tmp_path / f"{node}.log", node, **env)
        )
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ran(worker: Worker, name: str) -> int:
    """Return how many tasks of this name a worker has accepted."""
    inspect = cast(Any, worker.app).control.inspect([worker.hostname], timeout=2.0)
    stats = cast(dict[str, Any], inspect.stats() or {})
    return int(stats.get(worker.hostname, {"total": {}})["total"].get(name, 0))


SOAK = pytest.param(
    *(2_000, 10.0), id="2000", marks=[pytest.mark.soak, pytest.mark.timeout(240)]
)


@pytest.mark.rabbitmq
@pytest.mark.parametrize("way", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize(("number", "away"), [pytest.param(300, 0.0, id="300"), SOAK])
async def test_restart_of_the_monitor_loses_nothing(
    amqp_url: str,
    valkey: PrivateValkey,
    number: int,
    away: float,
    way: str,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    monitors: MonitorFactory,
) -> None:
    """All the truth is in the events here: there is no result backend to ask.

    The monitor is away for at least `away` seconds, over which the work is spread.
    """
    app = project_app(amqp_url)
    monitor = monitors(app, valkey.url, "one", HERALD_DURABLE_EVENTS="1")
    monitor.start()
    worker = celery_worker(app)
    async with open_store(valkey.url) as store:
        await heard_by(store, monitor, 30)
        third = number // 3
        ids = [send(app, "add", 1, i) for i in range(third)]
        monitor.kill() if way == "SIGKILL" else monitor.stop()
        for i in range(third, number):
            ids.append(send(app, "add", 1, i))
            await asyncio.sleep(away / (number - third))
        retried = [send(app, "retry_twice") for _ in range(number // 30)]
        wait_until(lambda: ran(worker, "add") == number, 60, "all have run")
        wait_until(
            lambda: ran(worker, "retry_twice") == 3 * len(retried), 30, "all again"
        )
        monitor.start()
        await heard_by(store, monitor, 30)
        await complete(store, ids, 1)
        await complete(store, retried, 3)


async def complete(store: RedisStore, ids: list[str], runs: int) -> None:
    """Assert that each task succeeded in as many runs, all of them told in full."""
    found = await all_final(store, ids, 30)
    assert {task.state for task in found} == {"SUCCESS"}
    assert {task.attempt for task in found} == {runs}
    assert not [task for task in found if task.conflict]
    assert not [task for task in found if not in_order(task)]
    for id_ in ids:
        told = await store.list_attempts(id_)
        assert len(told) == runs
        assert all(run.started_at and run.finished_at and run.pid for run in told)


def in_order(task: TaskView) -> bool:
    """Say whether all four times and the runtime of a task are told, and fit."""
    times = [getattr(task, name) for name in TIMES]
    if task.runtime is None or not all(times):
        return False
    return task.attempt != 1 or times[1:] == sorted(times[1:])


@pytest.mark.rabbitmq
def test_unconfirmed_events_come_back_after_a_reconnect(
    amqp_url: str, project_app: AppFactory, proxy: Callable[[str], Proxy]
) -> None:
    way = proxy(amqp_url)
    app, there = project_app(way.url), project_app(amqp_url)
    cast(Any, there).conf.event_exchange = cast(Any, app).conf.event_exchange
    with hearing(app, kept=KEPT, confirms=False) as heard:

        def told() -> list[object]:
            return [one["uuid"] for one in heard.events]

        emit(there, event(1))
        wait_until(lambda: heard.events, 30, "the first")
        heard.tickets[0].confirm()
        emit(there, event(2))
        wait_until(lambda: len(heard.events) == 2, 30, "the second")
        way.cut()
        wait_until(lambda: told().count("2") == 2, 30, "the second again")
    # The word that the first was confirmed may be cut off on its way; then it
    # comes again as well, before the second.
    assert told() in (["1", "2", "2"], ["1", "2", "1", "2"])


@pytest.mark.rabbitmq
def test_what_is_unconfirmed_is_bounded_and_no_silence(
    amqp_url: str, project_app: AppFactory
) -> None:
    """A store that is away stops the stream; that is not taken for a dead broker."""
    app = project_app(amqp_url)
    with hearing(app, kept=KEPT, probe_every=0.1, confirms=False) as heard:
        with cast(Any, app).connection_for_write() as connection:
            dispatcher = cast(Any, app).events.Dispatcher(
                connection, buffer_while_offline=False
            )
            for number in range(PREFETCH_COUNT + 500):
                dispatcher.send("task-x", uuid=str(number))
        wait_until(
            lambda: heard.receiver.messages >= PREFETCH_COUNT, 30, "as many as may be"
        )
        silent = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > silent, 30)
        assert PREFETCH_COUNT - 100 < len(heard.events) <= PREFETCH_COUNT
        assert heard.receiver.connected
        heard.confirms = True
        for ticket in tuple(heard.tickets):
            ticket.confirm()
        wait_until(lambda: len(heard.events) >= PREFETCH_COUNT + 500, 30, "the rest")
    assert heard.gaps == []
    assert len({one["uuid"] for one in heard.events}) == PREFETCH_COUNT + 500


@pytest.mark.rabbitmq
def test_reader_that_vanished_is_replaced_within_seconds(
    amqp_url: str, project_app: AppFactory, proxy: Callable[[str], Proxy]
) -> None:
    """Its connection is half open: only the missing heartbeats tell."""
    way = proxy(amqp_url)
    app, there = project_app(way.url), project_app(amqp_url)
    for name in ("event_exchange", "event_queue_prefix"):
        setattr(cast(Any, there).conf, name, getattr(cast(Any, app).conf, name))
    with (
        hearing(app, kept=KEPT, confirms=False) as first,
        hearing(there, kept=KEPT, connected=False) as second,
    ):
        emit(there, event(1))
        wait_until(lambda: first.events, 30, "the first reader hears")
        began = time.monotonic()
        way.black_hole()
        emit(there, event(2))
        second.wait_connected(12)
        print(f"taken over after {time.monotonic() - began:.1f} s")
        wait_until(lambda: len(second.events) == 2, 30, "all that was not confirmed")
    assert [one["uuid"] for one in second.events] == ["1", "2"]
    assert second.gaps == []


@pytest.mark.rabbitmq
def test_queue_that_overflowed_is_a_gap(amqp_url: str, project_app: AppFactory) -> None:
    app = project_app(amqp_url)
    small = DurableQueue("small", length=10)
    with hearing(app, kept=small) as heard:
        emit(app, event(0))
        wait_until(lambda: heard.events, 30, "the first")
    for number in range(1, 21):
        emit(app, event(number))
    with hearing(app, kept=small) as heard:
        wait_until(lambda: len(heard.events) >= 10, 30, "the newest")
        assert [one["uuid"] for one in heard.events][-1] == "20"
    [(_, _, reason)] = heard.gaps
    assert "was full" in reason


@pytest.mark.rabbitmq
def test_queue_with_other_bounds_is_used_as_it_is(
    amqp_url: str, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = project_app(amqp_url)
    with hearing(app, kept=KEPT):
        pass
    emit(app, event(1))
    with hearing(app, kept=DurableQueue(KEPT.name, ttl=60.0)) as heard:
        wait_until(lambda: heard.events, 30, "what was kept")
        emit(app, event(2))
        wait_until(lambda: len(heard.events) == 2, 30, "and what is new")
    assert "rabbitmqctl delete_queue" in caplog.text


def test_redis_says_that_it_cannot_keep_events(
    valkey: PrivateValkey, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = project_app(valkey.url)
    with (
        caplog.at_level(logging.WARNING, "herald_monitor"),
        hearing(app, kept=KEPT) as heard,
    ):
        emit(app, event(1))
        wait_until(lambda: heard.events, 30, "events all the same")
        assert not heard.receiver.is_durable
    [said] = caplog.messages
    assert "cannot keep events" in said
    assert "asks the result backend" in said


async def test_ticket_is_confirmed_after_the_batch_is_stored() -> None:
    """And not while the store is away, however often it is asked."""

    class Away(MemoryStore):
        away = True
        asked = 0

        async def store(
            self, events: Any, workers: Any = (), *, now: float
        ) -> WriteResult:
            self.asked += 1
            if self.away:
                raise StoreUnreachable("away")
            return await super().store(events, workers, now=now)

    store, intake, ticket = Away(), EventBuffer(), Ack()
    intake.attach(asyncio.get_running_loop())
    recording = asyncio.create_task(Recorder(intake, store, str, "n").run())
    intake.put_threadsafe([{"type": "task-sent", "uuid": "x"}], 1.0, ticket)
    await wait_until_async(lambda: true_of(store.asked > 2), 30, "it was tried")
    assert not ticket.confirmed
    store.away = False
    await wait_until_async(lambda: true_of(ticket.confirmed), 30, "it is confirmed")
    assert (await store.get_task("x")).state == "PENDING"
    recording.cancel()
    await asyncio.gather(recording, return_exceptions=True)


async def true_of(value: bool) -> bool:
    return value


async def test_ticket_of_what_is_dropped_or_unreadable_is_confirmed() -> None:
    """Or it would hold up all that comes behind it."""
    intake, dropped, bad = EventBuffer(most=1), Ack(), Ack()
    intake.attach(asyncio.get_running_loop())
    intake.put_threadsafe([{"type": "task-sent"}], 1.0, bad)
    intake.put_threadsafe([{"type": "task-sent", "uuid": "y"}], 1.0, dropped)
    assert [dropped.confirmed, bad.confirmed] == [True, False]
    recorder = Recorder(intake, MemoryStore(), str, "n")
    await recorder.drain()
    assert bad.confirmed
    assert recorder.parser.counters.poison == 1


def test_only_what_is_confirmed_without_a_hole_is_acknowledged() -> None:
    ledger = AckTracker()
    first, second, third = (ledger.issue(tag, 1, 0) for tag in (1, 2, 3))
    second.confirm()
    assert ledger.pop_confirmed() is None
    first.confirm()
    assert ledger.pop_confirmed() == 2
    assert ledger.pop_confirmed() is None
    assert ledger.messages == 1
    third.confirm()
    assert ledger.pop_confirmed() == 3
    assert ledger.messages == 0
