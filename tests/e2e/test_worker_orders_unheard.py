"""Orders to workers that do not answer, and to workers that end."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.orders import Order
from herald_server.auth.audit import AuditLog
from herald_server.control.order_book import OrderBook
from herald_server.control.workers import outcomes
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.commands import parse_command
from herald_server.control.workers.worker_orders import WorkerOrders
from tests.support.celery.worker import AppFactory, UnaskedWorker, Worker
from tests.support.herald.mcp_environment import House
from tests.support.herald.monitored_server import online, watched
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("worker_orders_unheard"),
]


def orders_of(made: House, app: Celery) -> WorkerOrders:
    """Return what gives orders to the workers of `app`."""
    book = OrderBook(made.store)
    return WorkerOrders(WorkerAsker(app), made.store, book, AuditLog(made.store))


async def test_nothing_is_sent_to_a_solo_worker_that_is_busy_and_a_shutdown_waits(
    module_valkey: PrivateValkey,
    project_app: AppFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcomes, "VERIFY_TIMEOUT_S", 1.0)
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log", pool="solo", concurrency=1)
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            orders = orders_of(made, app)
            await online(made, worker.hostname)
            refused = await orders.give(
                worker.hostname, parse_command("pool_grow", {}), 60
            )
            gate = tmp_path / "gate"
            app.send_task("hold", (str(gate),))
            ping = cast(Any, app).control.ping

            async def is_busy() -> bool:
                return not await asyncio.to_thread(ping, timeout=0.5)

            await wait_until_async(is_busy, 30)
            unsent = await orders.give(
                worker.hostname, parse_command("add_consumer", {"queue": "q"}), 60
            )
            unread = await orders.give(
                worker.hostname, parse_command("shutdown", {}), 60
            )
            gate.touch()
            await online(made, worker.hostname, "draining", "offline")
            await orders.follow_up(time.time())
            read = await orders.book.find(unread.id)
        finally:
            worker.close()
    assert refused.state == "refused"
    assert (unsent.state, "nothing was sent" in unsent.message) == ("no_answer", True)
    assert (unread.state, "once it reads" in unread.message) == ("no_answer", True)
    assert read is not None
    assert read.state == "verified"


async def test_a_shutdown_is_verified_by_the_workers_last_event(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log")
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            orders = orders_of(made, app)
            await online(made, worker.hostname)
            done = await orders.give(worker.hostname, parse_command("shutdown", {}), 60)
            await wait_until_async(lambda: not worker.alive, 60)
        finally:
            worker.close()
    assert done.state == "verified", done.message
    assert [one.outcome for one in await AuditLog(made.store).list_newest(9)] == [
        "verified",
        "requested",
    ]


async def test_a_worker_without_remote_control_is_sent_nothing(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    shared = {"worker_enable_remote_control": False}
    app = project_app(module_valkey.url, module_valkey.url, herald_shared=shared)
    worker = UnaskedWorker(app, tmp_path / "worker.log", module_valkey.url)
    async with watched(app) as made:
        await asyncio.to_thread(worker.start)
        try:
            orders = orders_of(made, app)
            await online(made, worker.hostname)
            done = await orders.give(
                worker.hostname, parse_command("pool_grow", {}), 60
            )
        finally:
            worker.close()
    assert (done.state, "has no remote control" in done.message) == ("no_answer", True)


async def test_an_order_of_a_server_that_died_is_concluded_by_another(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with watched(app) as made:
        orders = orders_of(made, app)
        left = Order(
            id="left",
            kind="pool_grow",
            state="acknowledged",
            who="ops",
            requested_at="2026-01-01T00:00:00Z",
            target="w@gone",
        )
        await orders.book.save(left)
        await orders.follow_up(time.time())
        found = await orders.book.find(left.id)
    assert found is not None
    assert found.state == "not_verified"
    assert "ended before its outcome was known" in found.message
