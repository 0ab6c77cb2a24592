"""Queues, measured at real brokers: how deep, how old, and who consumes them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from kombu import Queue

from herald_core.model.events.event import Event
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import CATALOG_KIND, QueueView, estimate_drain_s
from herald_core.model.workers.worker_reports import parse_worker
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.queues import depths as queue_depths
from herald_monitor.celery_client.queues.depths import (
    QueueDepth,
    QueueDepthReader,
    list_routed_queues,
)
from herald_monitor.celery_client.queues.lookup import QueuesUnreachable
from herald_monitor.reconcile import queue_metrics as gauging_module
from herald_monitor.reconcile.queue_metrics import (
    QueueMetrics,
    compute_rates,
    find_consumers,
)
from herald_server.catalog.catalog import Catalog, TaskType
from herald_server.control.queue_name_publisher import publish_queue_names
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.memory_server import worker_of
from tests.support.herald.monitor_process import monitoring
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import all_changes
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def measured(gauging: QueueMetrics) -> dict[str, QueueView]:
    """Return the queues by name, as they are now."""
    return {queue.name: queue for queue in await gauging.measure()}


def sent(task_id: str, at: float) -> Event:
    return Event(kind="sent", task_id=task_id, at=at, host="c@h", clock=1)


async def test_every_priority_counts_and_the_oldest_message_is_found(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    prefix: dict[str, object] = {"global_keyprefix": "my:"}
    routes = {"report": {"queue": "other"}}
    app = project_app(valkey.url, broker_transport_options=prefix, task_routes=routes)
    now = time.time()
    urgent, old = (submit(app, "add", 1, 2, priority=step) for step in (0, 3))
    submit(app, "add", 1, 2, priority=9)
    unheard = submit(app, "add", 1, 2, queue="other", priority=9)
    store, default = MemoryStore(), cast(Any, app).conf.task_default_queue
    # Nothing was heard of the least urgent one: since when it waits is not known.
    await store.store([sent(old, now - 90), sent(urgent, now - 60)], now=now)
    gauging = QueueMetrics(app, store, lambda: True)
    queues = await measured(gauging)
    assert queues[default].depth == 3
    assert queues[default].oldest_at == to_rfc3339(now - 90)
    assert not queues[default].at_least
    assert queues[default].unacked == 0
    other = queues["other"]
    assert (other.depth, other.consumers, other.is_unconsumed) == (1, (), True)
    assert other.at_least
    first_seen = other.oldest_at
    assert first_seen is not None
    assert first_seen >= to_rfc3339(now)
    again = await measured(gauging)
    assert again["other"].oldest_at == first_seen, "the same message, seen once more"
    await store.store([sent(unheard, now - 5)], now=now)
    told = (await measured(gauging))["other"]
    assert (told.oldest_at, told.at_least) == (to_rfc3339(now - 5), False)
    assert [queue.name for queue in await store.list_queues()] == sorted(queues)


@pytest.mark.celery
async def test_a_queue_without_a_consumer_is_told_from_one_with(
    broker_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(broker_url)
    default, stray = cast(Any, app).conf.task_default_queue, f"stray-{time.time_ns()}"
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    submit(app, "late", 8)
    submit(app, "add", 1, 2)
    for _ in range(2):
        submit(app, "add", 1, 2, queue=stray)
    store = MemoryStore()
    # That this queue exists is known from a task only.
    told = Event(kind="sent", task_id="1", at=1.0, host="c@h", queue=stray, clock=1)
    await store.store([told], now=time.time())
    gauging = QueueMetrics(app, store, lambda: True)
    queues = await wait_until_async(
        lambda: measured(gauging), accept=lambda queues: queues[stray].depth == 2
    )
    assert queues[stray].is_unconsumed
    assert queues[default].consumers == (worker.hostname,)
    if broker_url.startswith("amqp"):
        assert (queues[default].consumer_count, queues[stray].consumer_count) == (1, 0)
    else:
        queues = await wait_until_async(
            lambda: measured(gauging), accept=lambda queues: queues[default].unacked
        )
        assert queues[stray].unacked == 0
    worker.kill()


@pytest.mark.celery
async def test_a_queue_from_which_an_unheard_worker_takes_is_not_stranded(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its names for events and control are others; on Redis only the list tells."""
    queue = f"shared-{time.time_ns()}"
    app = project_app(valkey.url, task_routes={"late": {"queue": queue}})
    other = project_app(valkey.url)
    for _ in range(60):
        submit(other, "late", 0.3, queue=queue)
    gauging = QueueMetrics(app, MemoryStore(), lambda: True)
    assert (await measured(gauging))[queue].is_unconsumed, "nobody has taken any so far"
    worker = await asyncio.to_thread(
        celery_worker, other, pool="threads", concurrency=1, extra=("-Q", queue)
    )
    await wait_until_async(
        lambda: measured(gauging), accept=lambda queues: not queues[queue].is_unconsumed
    )
    for _ in range(3):
        told = (await measured(gauging))[queue]
        assert (bool(told.depth), told.consumers, told.is_unconsumed) == (
            True,
            None,
            False,
        )
    worker.kill()
    monkeypatch.setattr(gauging_module, "TAKEN_MAX_AGE_S", 0.0)
    await wait_until_async(
        lambda: measured(gauging),
        message="nobody takes the rest",
        accept=lambda queues: queues[queue].is_unconsumed,
    )


@pytest.mark.celery
async def test_how_much_a_worker_can_run_is_asked_once_it_is_known(
    broker_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """Its events do not tell; of one that is not there nothing is said."""
    app = project_app(broker_url)
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=3)
    store, now = MemoryStore(), time.time()
    beats = [
        parse_worker({"type": "worker-heartbeat", "hostname": h, "timestamp": now}, now)
        for h in (worker.hostname, "gone@h")
    ]
    await store.store((), [beat for beat in beats if beat], now=now)
    await measured(QueueMetrics(app, store, lambda: True))
    found = {w.hostname: w.slots for w in await store.list_workers(now=now)}
    assert found == {worker.hostname: 3, "gone@h": None}
    worker.kill()


async def test_a_monitor_that_runs_measures_and_announces(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app, store = project_app(valkey.url), MemoryStore()
    submit(app, "add", 1, 2, queue="stray")
    told = Event(kind="sent", task_id="1", at=1.0, host="c@h", queue="stray", clock=1)
    await store.store([told], now=time.time())
    async with monitoring(app, store):

        async def stranded() -> bool:
            return any(queue.is_unconsumed for queue in await store.list_queues())

        await wait_until_async(stranded, 30, "the queue is found, and nobody at it")
    changes = [change async for change in all_changes(store)]
    assert "stray" in {change.id for change in changes if change.kind == "q"}


@pytest.mark.rabbitmq
async def test_a_queue_that_was_deleted_is_empty_at_once(
    amqp_url: str, project_app: AppFactory
) -> None:
    app, store = project_app(amqp_url), MemoryStore()
    default = cast(Any, app).conf.task_default_queue
    submit(app, "add", 1, 2)
    gauging = QueueMetrics(app, store, lambda: True)
    await wait_until_async(
        lambda: measured(gauging), accept=lambda queues: default in queues
    )
    with cast(Any, app).connection_for_write() as connection:
        connection.channel().queue_delete(default)
    queue = (await measured(gauging))[default]
    assert (queue.depth, queue.consumers, queue.is_unconsumed) == (0, (), False)
    assert default not in await measured(gauging), "nor is it measured any more"


async def test_who_does_not_answer_may_consume_anything(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app, store = project_app(valkey.url), MemoryStore()
    submit(app, "add", 1, 2)
    await store.store([], [worker_of("busy@h")], now=time.time())
    [queue] = await QueueMetrics(app, store, lambda: True).measure()
    assert (queue.depth, queue.consumers, queue.is_unconsumed) == (1, None, False)


async def test_a_broker_that_is_away_is_told_and_leaves_what_was_known(
    project_app: AppFactory,
) -> None:
    depths = QueueDepthReader(project_app("redis://127.0.0.1:1/0"))
    with pytest.raises(QueuesUnreachable, match="nothing listens there"):
        await depths.measure(["celery"])
    depths.close()


async def test_a_broker_that_says_nothing_holds_nobody_up(
    valkey: PrivateValkey, project_app: AppFactory, proxy: Callable[[str], Proxy]
) -> None:
    way = proxy(valkey.url)
    depths = QueueDepthReader(project_app(way.url))
    assert (await depths.measure(["celery"]))["celery"].depth == 0
    way.black_hole()
    began = time.monotonic()
    with pytest.raises(QueuesUnreachable, match="no answer in time"):
        await depths.measure(["celery"], timeout_s=0.3)
    assert time.monotonic() - began < 10
    way.heal()
    # Asked again, by whom the one that hangs does not hold up for ever.
    assert (await depths.measure(["celery"], timeout_s=15.0))["celery"].depth == 0
    depths.close()


async def test_too_many_unconfirmed_messages_are_not_counted(
    valkey: PrivateValkey, project_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_depths, "MAX_UNACKED", 2)
    depths = QueueDepthReader(project_app(valkey.url))
    with valkey.client() as client:
        for number, counted in ((1, 0), (2, 0), (3, None)):
            client.hset("unacked", str(number), "not of kombu")
            found = await depths.measure(["celery"])
            assert found["celery"].unacked == counted
    depths.close()


def test_the_broker_knows_best_whether_anybody_consumes() -> None:
    assert find_consumers(("w@h",), QueueDepth(consumer_count=0)) == ()
    assert find_consumers((), QueueDepth(consumer_count=2)) is None
    assert find_consumers(("w@h",), QueueDepth()) == ("w@h",)
    assert find_consumers((), QueueDepth()) == ()
    assert find_consumers(None, QueueDepth()) is None


def test_only_a_queue_that_gets_shorter_drains() -> None:
    assert estimate_drain_s(0, None, None) == 0
    assert estimate_drain_s(30, 10, 40) == 60
    assert estimate_drain_s(30, 40, 40) is None
    assert estimate_drain_s(30, None, 40) is None
    assert estimate_drain_s(None, 1, 2) is None


def test_rates_are_of_what_came_and_of_what_workers_took() -> None:
    minutes = [
        Rollup(at=60, queues={"a": {"submitted": 4, "received": 10}}),
        Rollup(at=120, queues={"a": {"submitted": 6}, "b": {"received": 5}}),
    ]
    assert compute_rates(minutes) == {"a": (2.0, 2.0), "b": (0.0, 1.0)}


# -- which queues there are -------------------------------------------------------


def route(name: str) -> None:
    """A route that is a function tells no queue."""


ROUTES: list[tuple[object, list[str]]] = [
    (None, []),
    ({"a.*": {"queue": "a"}, "b": "b", "c": {"routing_key": "x"}}, ["a", "b"]),
    ([{"d": {"queue": Queue("d")}}, route], ["d"]),
    (({"e": {"queue": "e"}},), ["e"]),
]


@pytest.mark.parametrize(("routes", "queues"), ROUTES)
def test_routes_name_queues(routes: object, queues: list[str]) -> None:
    assert list_routed_queues(routes) == queues


async def test_queues_of_settings_and_catalogs_are_measured_before_any_task(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, task_routes={"x": {"queue": "routed"}})
    store = MemoryStore()
    kind = TaskType("report", "reports.monthly", queue="of-a-catalog")
    naming = asyncio.create_task(
        publish_queue_names(store, Catalog([kind]), "server-1")
    )
    while not await store.get_items(CATALOG_KIND):
        await asyncio.sleep(0)
    naming.cancel()
    queues = await measured(QueueMetrics(app, store, lambda: True))
    assert queues.keys() == {"routed", "of-a-catalog"}, "nobody uses the default one"
    assert queues["of-a-catalog"].depth == 0
    submit(app, "add", 1, 2)
    default = cast(Any, app).conf.task_default_queue
    assert (await measured(QueueMetrics(app, store, lambda: True)))[default].depth == 1
