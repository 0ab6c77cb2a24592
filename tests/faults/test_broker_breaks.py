"""The broker, or the way to it, breaks under load; all comes true again by itself."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import redis
from amqp.exceptions import ConnectionForced
from celery import Celery

from herald_monitor.celery_client.broker.connection import connect_broker
from herald_monitor.ingest.consumers.envelope import decode_fast
from herald_monitor.ingest.consumers.kombu_consumer import KombuConsumer
from tests.support.celery.messages import emit
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.environment import missing
from tests.support.herald.fault_environment import fault_room
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
ProxyFactory = Callable[[str], Proxy]
LONG = [pytest.mark.soak, pytest.mark.timeout(300)]


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """A server apart from the broker: for the store, and for results."""
    with private_valkey() as server:
        yield server


def results(keeper: PrivateValkey) -> str:
    """Return the URL of the result backend, apart from the store."""
    return f"{keeper.url.rpartition('/')[0]}/1"


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=LONG, id="soak")])
async def test_broker_that_is_stopped_and_killed_and_restarted(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    times: int,
) -> None:
    """It keeps nothing on disk: what lay in its queues is lost, and said to be."""
    app = project_app(valkey.url, results(keeper))
    worker = await asyncio.to_thread(celery_worker, app, concurrency=4)
    watched = supervised(worker, oldest_in(valkey))
    async with fault_room(app, keeper.url) as room, watched:
        for how in (signal.SIGTERM, signal.SIGKILL) * times:
            await asyncio.to_thread(valkey.end, how)
            await room.unready()
            await asyncio.to_thread(valkey.start)
            await room.works_again()
        await room.comes_true()
        assert room.traffic.refused > 0
        assert len(await room.gaps("")) >= 2 * times


STUCK_AFTER = 15.0
"""Seconds in which a worker that is well takes what waits in a queue."""


def oldest_in(broker: PrivateValkey) -> Callable[[], object]:
    """Return what has waited longest in the queue of a Redis, each time it is asked."""

    def oldest() -> object:
        try:
            with broker.client() as client:
                return cast(Any, client).lindex("celery", -1)
        except redis.RedisError:
            return None

    return oldest


@asynccontextmanager
async def supervised(
    worker: Worker, waiting: Callable[[], object]
) -> AsyncGenerator[None]:
    """Start a worker again when it ends, as whatever runs it in earnest does.

    Celery's ends now and then with an "unrecoverable error" when its broker ends
    while it puts back what it has not acknowledged; or lives on and takes nothing
    more. `waiting` tells of what waits for it: the same for long is too long, and
    None is nothing.
    """

    async def watch() -> None:
        waits, since = None, time.monotonic()
        while True:
            now = await asyncio.to_thread(waiting)
            if now is None or now != waits:
                waits, since = now, time.monotonic()
            if time.monotonic() - since > STUCK_AFTER:
                await asyncio.to_thread(worker.kill)
            if not worker.alive:
                await asyncio.to_thread(worker.start)
                since = time.monotonic()
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.rabbitmq
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=LONG, id="soak")])
async def test_rabbitmq_closes_all_connections(
    amqp_url: str,
    keeper: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    times: int,
) -> None:
    """As it does when it is restarted. Its queues keep what nobody has taken.

    The pool is of processes: threads of a worker share a connection to retry on,
    and now and then RabbitMQ ends that for their frames being mixed up.
    """
    app = project_app(amqp_url, results(keeper))
    worker = await asyncio.to_thread(celery_worker, app, concurrency=4)
    async with (
        fault_room(app, keeper.url) as room,
        supervised(worker, room.ended_while_some_wait),
    ):
        for number in range(times):
            await asyncio.to_thread(close_all_connections, amqp_url)
            await reconnected(room.held.monitor, number + 1)
            await room.traffic.more(20)
        await room.comes_true()
        await room.gaps("")


@pytest.mark.rabbitmq
def test_end_of_a_connection_behind_some_events_is_not_overheard(
    amqp_url: str, project_app: AppFactory
) -> None:
    """Both come in one read: first the events are told, then the end."""
    app = project_app(amqp_url)
    consumer = KombuConsumer(app, connect_broker(app))
    consumer.open()
    try:
        emit(app, {"type": "task-x", "uuid": "1"})
        close_all_connections(amqp_url)
        [event] = consumer.read(5.0, decode_fast)
        assert isinstance(event, dict)
        assert event["uuid"] == "1"
        with pytest.raises(ConnectionForced):
            consumer.read(0.1, decode_fast)
    finally:
        consumer.close(gently=False)


def close_all_connections(amqp_url: str) -> None:
    """Let RabbitMQ close what is connected to a virtual host of the test's own."""
    vhost = urlsplit(amqp_url).path[1:]
    program = shutil.which("rabbitmqctl")
    if program is None or not vhost.startswith("herald-test-"):
        missing("rabbitmqctl, which closes connections")
    words = [str(program), "-q", "close_all_connections", "--vhost", vhost, "a test"]
    subprocess.run(words, capture_output=True, timeout=30, check=True)


async def reconnected(monitor: Any, times: int) -> None:
    """Wait until a monitor has lost its broker so often, and hears again."""

    def again() -> bool:
        image = monitor.make_view()
        return bool(image.connected and image.counters["reconnects"] >= times)

    await wait_until_async(again, 30, f"{times} reconnects")


@pytest.mark.parametrize("way", ["cut", "slow", "half-open"])
async def test_network_between_monitor_and_broker(
    module_app: Celery,
    keeper: PrivateValkey,
    project_app: AppFactory,
    proxy: ProxyFactory,
    way: str,
) -> None:
    """Only Herald is cut off: the work goes on, and is found out afterwards."""
    conf = cast(Any, module_app).conf
    line = proxy(conf.broker_url)
    heralds = project_app(line.url, conf.result_backend, names=conf.herald_names)
    # What is slow for long is not dead; Herald as it is shipped waits as long.
    probe = 5.0 if way == "slow" else 1.0
    async with fault_room(module_app, keeper.url, heralds, probe=probe) as room:
        if way == "slow":
            line.drip(100_000)
            line.delay(0.02)
            await room.traffic.more(60)
        elif way == "cut":
            line.refuse()
            await room.unready()
        else:
            line.black_hole()
            await room.unready()
            line.cut()
        if way != "slow":
            await wait_until_async(room.all.doubts, 30, "who watches is told")
        line.heal()
        await room.comes_true()
        if way != "slow":
            await room.gaps("")
            assert not room.all.statuses[-1]["stale"]
        else:
            assert room.held.monitor.make_view().counters["reconnects"] == 0
