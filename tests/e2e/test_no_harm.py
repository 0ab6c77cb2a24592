"""Whatever Herald asks, broker and result backend stay as they were."""

import asyncio
import contextlib
import time
from typing import Any, cast

import msgspec
import pytest
from celery import Celery

from herald_core.errors import HeraldError
from herald_core.model.tasks.views import TaskView
from herald_monitor.celery_client.app.celery_app import restrict
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.queues.depths import QueueDepthReader
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_server.cli.doctor.workers import ask_workers
from herald_server.diagnosis.worker_query import ask_workers as ask_why
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.reconciling_monitor import submit
from tests.support.servers.broker_contents import held_by, redis_imprint
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


def give_out(server: PrivateValkey, app: Celery) -> str:
    """Let a worker that is no more hold a message, for longer than kombu's hour."""
    task_id = submit(app, "add", 1, 2, queue="held")
    with server.client() as client:
        message = cast(Any, client).rpop("held")
        told = [msgspec.json.decode(message), "", "held"]
        client.hset("unacked", "tag-1", msgspec.json.encode(told).decode())
        client.zadd("unacked_index", {"tag-1": time.time() - 4_000})
    return task_id


async def test_no_question_redelivers_what_others_hold(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url, valkey.url[:-1] + "1")
    give_out(valkey, app)
    before = redis_imprint(valkey)
    restrict(app)
    inspection = WorkerInspector(app)
    # kombu looks for what to put back at each tenth poll that gets nothing.
    for _ in range(12):
        assert not (await inspection.inspect(["nobody@h"], 0.05)).answered
    inspection.close()
    for _ in range(3):
        await asyncio.to_thread(
            ask_why, app, TaskView(id="1", state="PENDING"), ["nobody@h"]
        )
    await asyncio.to_thread(ask_workers, app, {}, 0.2)
    await asyncio.to_thread(cast(Any, app).control.revoke, ["1"], reply=True, timeout=1)
    assert redis_imprint(valkey) == before
    assert held_by(valkey) == {"tag-1"}


async def test_a_transport_of_its_own_never_restores(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    """An app that nobody restricted is connected to in the same way."""
    app = project_app(valkey.url)
    give_out(valkey, app)
    connection = await asyncio.to_thread(connect_broker, app)
    channel = cast(Any, connection).default_channel
    for _ in range(20):
        channel.qos.restore_visible(num=None, interval=1)
    channel.qos.restore_by_tag("tag-1")
    channel.qos.restore_unacked()
    drop_connection(connection)
    assert held_by(valkey) == {"tag-1"}


@pytest.mark.celery
async def test_answers_of_workers_leave_nothing(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url[:-1] + "1")
    worker = await asyncio.to_thread(celery_worker, app, pool="threads", concurrency=1)
    # What the worker's start and the pings of this test left is not ours.
    cast(Any, app).close()
    before = redis_imprint(valkey)
    restrict(app)
    inspection = WorkerInspector(app)
    assert (await inspection.inspect([worker.hostname], 5)).answered == {
        worker.hostname
    }
    inspection.close()
    [told], _ = await asyncio.to_thread(ask_workers, app, {}, 1.0)
    assert told.hostname == worker.hostname
    await QueueDepthReader(app).measure(["celery", "other"])
    assert redis_imprint(valkey) == before


async def test_a_question_that_was_cut_off_is_cleared_away_later(
    valkey: PrivateValkey, project_app: AppFactory, proxy: Any
) -> None:
    app = project_app(valkey.url)
    line = proxy(valkey.url)
    mine = restrict(project_app(line.url, None, names=cast(Any, app).conf.herald_names))
    inspection = WorkerInspector(mine)
    exchange = cast(Any, app).conf.control_exchange
    with valkey.client() as client, client.pubsub() as worker:
        # One that gets the question, and keeps silent.
        cast(Any, worker).subscribe(f"/0.{exchange}.pidbox")
        asking = asyncio.create_task(inspection.inspect(["nobody@h"], 10))
        await wait_until_async(lambda: redis_imprint(valkey), 30, "the question is put")
        line.refuse()
        with contextlib.suppress(HeraldError):
            await asking
    assert redis_imprint(valkey), "nobody could clear it away"
    line.heal()
    await inspection.inspect(["nobody@h"], 0.05)
    inspection.close()
    assert redis_imprint(valkey) == {}


async def test_a_start_subscribes_to_nothing_and_asks_for_no_reply(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    """As Celery's producers, but nobody waits here for the result."""
    for backend in (valkey.url[:-1] + "1", "rpc://", None):
        app = restrict(project_app(valkey.url, backend))
        queue = cast(Any, app).conf.task_default_queue
        cast(Any, app).send_task("add", (1, 2))
        with valkey.client() as client:
            assert cast(Any, client).pubsub_channels() == []
            message = msgspec.json.decode(cast(Any, client).lindex(queue, 0))
            # kombu before 5.7 has one table of bindings.
            newer = {f"_kombu.binding_permanent.{queue}".encode()}
            assert set(client.keys()) - newer == {
                queue.encode(),
                f"_kombu.binding.{queue}".encode(),
            }
            client.flushall()
        assert message["properties"]["reply_to"] == ""


@pytest.mark.parametrize("tables", [True, False])
async def test_a_backend_of_tables_is_only_read(tmp_path: Any, tables: bool) -> None:
    place = tmp_path / "results.sqlite"
    url = f"db+sqlite:///{place}"
    theirs = Celery("theirs", backend=url, set_as_current=False)
    if tables:
        cast(Any, theirs).backend.store_result("1", 3, "SUCCESS")
    before = place.read_bytes() if tables else b""
    mine = restrict(Celery("mine", backend=url, set_as_current=False))
    backend = ResultBackend(mine)
    found = await backend.read_events(["1", "2"])
    await backend.close()
    states = {event.task_id: event.kind for event in found}
    assert states == ({"1": "succeeded"} if tables else {})
    assert (place.read_bytes() if place.exists() else b"") == before


async def test_a_backend_of_files_is_only_read(tmp_path: Any) -> None:
    url = f"file://{tmp_path}"
    theirs = Celery("theirs", backend=url, set_as_current=False)
    cast(Any, theirs).backend.store_result("1", 3, "SUCCESS")
    touched = tmp_path.stat().st_mtime_ns
    mine = restrict(Celery("mine", backend=url, set_as_current=False))
    backend = ResultBackend(mine)
    [found] = await backend.read_events(["1", "2"])
    await backend.close()
    assert found.task_id == "1"
    assert tmp_path.stat().st_mtime_ns == touched, "no file was made, nor taken away"
