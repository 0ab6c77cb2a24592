"""A start goes to queues that somebody names; a broker's own keys stay as they are."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
import redis
from celery import Celery

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import Identity
from herald_server.auth.request_context import enter_request
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control
from herald_server.control.queue_names import is_reserved, refuse_queue
from herald_server.control.start.send_options import SendOptions
from herald_server.push.log.hub import Hub
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey

pytestmark = [pytest.mark.anyio, pytest.mark.celery]

STARTER = Identity("starter", frozenset({"read", "start"}))

RESERVED = [
    *("unacked", "unacked_index", "unacked_mutex", "UNACKED", "prefix:unacked_index"),
    *("_kombu.binding.evil", "x_kombu.binding.evil", "celery@h.celery.pidbox"),
    *("celeryev", "celeryev.1-2", "reply.celery.pidbox", "amq.rabbitmq.reply-to"),
    *("celery-task-meta-abc", "celery-taskset-meta-abc", "{herald}:log"),
    *("evil\nq", "a\x00b", "q\x06\x163", "q\u202e", "q\x1b[2J"),
]


@pytest.mark.parametrize("name", RESERVED)
def test_names_that_others_use_are_no_queues(name: str) -> None:
    assert is_reserved(name)
    with pytest.raises(InvalidInput) as caught:
        refuse_queue(name, {name}, ["*"])
    assert str(caught.value).isprintable()


def test_a_queue_is_known_or_allowed() -> None:
    refuse_queue(None, (), ())
    refuse_queue("reports", {"reports"}, ())
    refuse_queue("reports.weekly", (), ["reports.*"])
    with pytest.raises(InvalidInput, match="no worker consumes a queue 'other'"):
        refuse_queue("other", {"reports"}, ["reports.*"])


async def _refused(control: Control, queue: str, way: str) -> str:
    """Try to send to `queue`; return the sentence."""
    options = SendOptions(queue=queue)
    items: list[tuple[str, dict[str, object]]] = [("add", {"x": 1, "y": 2})]
    orders: dict[str, Any] = {
        "start": lambda: control.start("add", {"x": 1, "y": 2}, options),
        "group": lambda: control.start_group(items, options),
        "chain": lambda: control.start_chain(items, options),
        "retry": lambda: control.retry("old", {"x": 1, "y": 2}, options),
        "again": lambda: control.retry(f"old-{queue}", {"x": 1, "y": 2}),
    }
    with enter_request(STARTER), pytest.raises(HeraldError) as caught:
        await orders[way]()
    return str(caught.value)


async def _ended(store: MemoryStore, task_id: str, queue: str | None) -> None:
    """Tell of a task that failed, as whoever writes events says."""
    about: dict[str, Any] = {"name": "add", "args": "()", "kwargs": "{}"}
    for clock, (kind, told) in enumerate(
        (("received", {**about, "queue": queue}), ("failed", {"exception": "E()"})), 1
    ):
        given: dict[str, Any] = {"host": "w@h", "pid": 1, "clock": clock, **told}
        event = Event(kind=kind, task_id=task_id, at=1.0, retries=0, **given)
        await store.store([event], now=1.0)


async def test_no_start_writes_to_a_key_of_the_broker_and_the_worker_lives(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url, valkey.url)
    worker = celery_worker(app)
    store = MemoryStore()
    control = Control(app, store, Hub(), Catalog([], ["add"], ["*"]))
    await _ended(store, "old", None)
    with valkey.client() as client:
        client.hset("a-hash", "k", "v")
        client.rpush("a-list-of-others", "mine")
        before = _contents(client)
        for name in ("unacked", "unacked_index", "_kombu.binding.evil", "a-hash"):
            await _ended(store, f"old-{name}", name)
            for way in ("start", "group", "chain", "retry", "again"):
                said = await _refused(control, name, way)
                assert "nothing is sent to" in said
        assert "something else" in await _refused(control, "a-list-of-others", "start")
        assert _contents(client) == before
    with enter_request(STARTER):
        started = await control.start("add", {"x": 1, "y": 2})
    result = cast(Any, app).AsyncResult(started.task_id)
    assert await asyncio.to_thread(lambda: result.get(timeout=30)) == 3
    assert worker.alive


def _contents(client: redis.Redis) -> dict[str, bytes | None]:
    """Return each key as it is kept, but for those that workers renew as they talk."""
    keys = cast("list[bytes]", client.keys("*"))
    talk = (b"pidbox", b"_kombu.binding_deadlines")
    return {k.decode(): client.dump(k) for k in keys if not any(t in k for t in talk)}


async def test_queues_of_workers_settings_and_the_store_are_known(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(
        valkey.url,
        valkey.url,
        task_routes={"x": {"queue": "routed"}},
        task_queues=None,
    )
    celery_worker(app, extra=("-Q", f"{cast(Any, app).conf.task_default_queue},aside"))
    store = MemoryStore()
    now = time.time()
    measured = QueueView(
        id="seen", name="seen", consumers=("w@h",), as_of=to_rfc3339(now)
    )
    nobody = QueueView(id="nobody", name="nobody", consumers=(), as_of=to_rfc3339(now))
    await store.store_queues([measured, nobody], now=now)
    control = Control(app, store, Hub(), Catalog([], ["add"]))
    with enter_request(STARTER):
        for queue in ("aside", "routed", "seen"):
            await control.start("add", {"x": 1, "y": 2}, SendOptions(queue=queue))
        # A worker said so, and nobody need be asked again.
        control.queues.ask_timeout_s = 0.0
        await control.start("add", {"x": 1, "y": 2}, SendOptions(queue="aside"))
    assert "no worker consumes" in await _refused(control, "nobody", "start")
    assert "no worker consumes" in await _refused(control, "*", "start")


@pytest.mark.rabbitmq
async def test_on_rabbitmq_too_no_queue_comes_into_being(
    amqp_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(amqp_url)
    worker = celery_worker(app)
    control = Control(app, MemoryStore(), Hub(), Catalog([], ["add"]))
    assert "no worker consumes" in await _refused(control, "stray", "start")
    assert "nothing is sent to" in await _refused(control, "amq.gen-x", "start")
    assert not _exists(app, "stray")
    own = str(cast(Any, app).conf.task_default_queue)
    with enter_request(STARTER):
        await control.start("add", {"x": 1, "y": 2}, SendOptions(queue=own))
    assert worker.alive


def _exists(app: Celery, queue: str) -> bool:
    with cast(Any, app).connection_for_read() as connection:
        try:
            connection.channel().queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
    return True
