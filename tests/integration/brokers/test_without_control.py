"""What a broker without fanout cannot do is said at once, and nothing is made there."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from herald_core.errors import InvalidInput, UnsupportedByBroker
from herald_core.store.memory.store import MemoryStore
from herald_monitor.celery_client.queues.depths import QueueDepthReader
from herald_monitor.celery_client.queues.lookup import QueuesUnreachable
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.runtime.monitor import Monitor
from herald_server.catalog.catalog import Catalog
from herald_server.control.start import publisher
from herald_server.control.start.publisher import BrokerUnreachable
from herald_server.control.start.send_options import SendOptions
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import house
from tests.support.herald.monitored_server import control_of
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.sqs import TRANSPORT, PrivateSqs
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ANY = Catalog([], ["*"])


@pytest.fixture(params=["sqs", "sqlite"])
def app(
    request: pytest.FixtureRequest, project_app: AppFactory, tmp_path: Path
) -> Celery:
    """A project at each of these brokers."""
    if request.param == "sqlite":
        return project_app(f"sqla+sqlite:///{tmp_path}/broker.db")
    sqs: PrivateSqs = request.getfixturevalue("sqs")
    return project_app(sqs.url, broker_transport_options=TRANSPORT)


async def test_a_monitor_makes_nothing_there_and_says_what_to_add(
    sqs: PrivateSqs, project_app: AppFactory
) -> None:
    app = project_app(sqs.url, broker_transport_options=TRANSPORT)
    before, store = sqs.list_queues(), MemoryStore()
    await store.open()
    stop = asyncio.Event()
    monitor = Monitor(app, store, node="m", queues_every=0.1)
    running = asyncio.create_task(monitor.run(stop))
    try:
        [view] = await wait_until_async(
            store.list_monitors, 30, accept=lambda told: any(m.trouble for m in told)
        )
    finally:
        stop.set()
        await running
    assert not view.connected
    assert "Amazon SQS carries neither events nor remote control" in view.trouble
    assert "-I herald_worker.auto" in view.trouble
    assert sqs.list_queues() == before


async def test_a_cancel_is_refused_and_not_stored(app: Celery) -> None:
    async with house(app, catalog=ANY) as made:
        await made.started("busy")
        canceller = control_of(made).canceller
        with pytest.raises(UnsupportedByBroker, match="carries no remote control"):
            await canceller.cancel(["busy"])
        assert await canceller.list_pending() == []
        await made.tell("succeeded", "busy", result="1")
        [done] = await canceller.cancel(["busy"])
        assert done.outcome == "too_late"


async def test_workers_are_not_asked(app: Celery) -> None:
    begun, inspection = time.monotonic(), WorkerInspector(app)
    told = await inspection.inspect(["w@h"], 5.0)
    assert (told.answered, told.events, told.receivers) == (frozenset(), [], None)
    assert (await inspection.read_active_queues(5.0)).queues == {}
    assert await inspection.describe(["w@h"], 5.0) == {}
    assert await inspection.find_silent_workers(["w@h"], 5.0) == set()
    inspection.close()
    assert time.monotonic() - begun < 5.0


# Of SQLAlchemy 2.1, about kombu.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
async def test_a_task_is_started_in_a_queue_of_the_project(app: Celery) -> None:
    async with house(app, catalog=ANY) as made:
        started = await control_of(made).start("add", {"x": 1, "y": 2}, SendOptions())
        task = await made.store.get_task(started.task_id)
        assert task.state == "PENDING"


# Of SQLAlchemy 2.1, about kombu.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
async def test_a_queue_is_known_by_the_tasks_that_came_from_it(app: Celery) -> None:
    async with house(app, catalog=ANY) as made:
        start, mail = control_of(made).start, SendOptions(queue="mail")
        with pytest.raises(InvalidInput, match="mail"):
            await start("add", {"x": 1, "y": 2}, mail)
        await made.tell("received", "seen", name="add", queue="mail")
        started = await start("add", {"x": 1, "y": 2}, mail)
        assert (await made.store.get_task(started.task_id)).queue == "mail"


async def test_the_counts_of_sqs_are_read_and_no_queue_is_made(
    sqs: PrivateSqs, project_app: AppFactory
) -> None:
    app = project_app(sqs.url, broker_transport_options=TRANSPORT)
    queue = str(app.conf.task_default_queue)
    for number in range(3):
        app.send_task("add", (number, 1))
    [url] = [
        url for url in sqs.client.list_queues()["QueueUrls"] if url.endswith(queue)
    ]
    sqs.client.receive_message(QueueUrl=url, VisibilityTimeout=60)
    reader = QueueDepthReader(app)
    measured = await reader.measure([queue, "there-is-none"])
    reader.close()
    assert measured.keys() == {queue}
    assert (measured[queue].depth, measured[queue].unacked) == (2, 1)
    assert "there-is-none" not in sqs.list_queues()


async def test_a_broker_that_does_not_answer_holds_nothing_up(
    sqs: PrivateSqs,
    project_app: AppFactory,
    proxy: Callable[[str], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "SEND_TIMEOUT_S", 1.0)
    way = proxy(sqs.url)
    way.black_hole()
    app = project_app(way.url, broker_transport_options=TRANSPORT)
    begun, reader = time.monotonic(), QueueDepthReader(app)
    with pytest.raises(QueuesUnreachable, match="cannot be measured"):
        await reader.measure(["celery"], 5.0)
    reader.close()
    assert time.monotonic() - begun < 20.0
    begun = time.monotonic()
    async with house(app, catalog=ANY) as made:
        with pytest.raises(BrokerUnreachable, match="no answer in time"):
            await control_of(made).start("add", {"x": 1, "y": 2})
    assert time.monotonic() - begun < 15.0
