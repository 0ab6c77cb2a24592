"""The broker, or the way to it, breaks under load; all comes true again by itself."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from tests.conftest import AppFactory, WorkerFactory
from tests.fault_room import fault_room
from tests.proxy import Proxy
from tests.servers import PrivateValkey, missing, private_valkey, wait_until

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
ProxyFactory = Callable[[str], Proxy]
SOAK = pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)], id="soak")


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """A server apart from the broker: for the store, and for results."""
    with private_valkey() as server:
        yield server


def results(keeper: PrivateValkey) -> str:
    """Return the URL of the result backend, apart from the store."""
    return f"{keeper.url.rpartition('/')[0]}/1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("times", [1, pytest.param(4, marks=SOAK.marks, id="soak")])
async def test_broker_that_is_killed_and_restarted(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    how: signal.Signals,
    times: int,
) -> None:
    """It keeps nothing on disk: what lay in its queues is lost, and said to be."""
    app = project_app(valkey.url, results(keeper))
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=4)
    async with fault_room(app, keeper.url) as room:
        for _ in range(times):
            assert valkey.pid is not None
            os.kill(valkey.pid, how)
            await asyncio.to_thread(
                wait_until, lambda: valkey.pid is None, 5, "the broker is dead"
            )
            await room.unready()
            await asyncio.to_thread(valkey.start)
            await room.traffic.more(10)
        await room.comes_true()
        assert room.traffic.refused > 0
        await room.gaps("")


@pytest.mark.rabbitmq
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=SOAK.marks, id="soak")])
async def test_rabbitmq_closes_all_connections(
    amqp_url: str,
    keeper: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    times: int,
) -> None:
    """As it does when it is restarted. Its queues keep what nobody has taken."""
    app = project_app(amqp_url, results(keeper))
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=4)
    async with fault_room(app, keeper.url) as room:
        for number in range(times):
            await asyncio.to_thread(close_all_connections, amqp_url)
            await reconnected(room.held.monitor, number + 1)
            await room.traffic.more(20)
        await room.comes_true()
        await room.gaps("")


def close_all_connections(amqp_url: str) -> None:
    """Let RabbitMQ close what is connected to a virtual host of the test's own."""
    vhost = urlsplit(amqp_url).path[1:]
    program = shutil.which("rabbitmqctl")
    if program is None or not vhost.startswith("herald-test-"):
        missing("rabbitmqctl, which closes connections")
    words = [str(program), "-q", "close_all_connections", "--vhost", vhost, "a test"]
    subprocess.run(words, capture_output=True, timeout=20, check=True)


async def reconnected(monitor: Any, times: int) -> None:
    """Wait until a monitor has lost its broker so often, and hears again."""
    from tests.serving import until

    def again() -> bool:
        image = monitor.image()
        return bool(image.connected and image.counters["reconnects"] >= times)

    await until(again, 15, f"{times} reconnects")


@pytest.mark.parametrize("way", ["cut", "slow", "half-open"])
async def test_network_between_monitor_and_broker(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    proxy: ProxyFactory,
    way: str,
) -> None:
    """Only Herald is cut off: the work goes on, and is found out afterwards."""
    line = proxy(valkey.url)
    app = project_app(valkey.url, results(keeper))
    names = cast(Any, app).conf.herald_names
    heralds = project_app(line.url, results(keeper), names=names)
    await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=4)
    async with fault_room(app, keeper.url, heralds) as room:
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
        line.heal()
        await room.comes_true()
        if way != "slow":
            await room.gaps("")
        else:
            assert room.held.monitor.image().counters["reconnects"] == 0
