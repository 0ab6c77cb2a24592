"""Orders to real workers of each pool: what they do and what they ignore."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from herald_core.model.orders import Order
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.audit import AuditLog
from herald_server.control.order_book import OrderBook
from herald_server.control.workers import replies, runner
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.commands import parse_command
from herald_server.control.workers.worker_orders import WorkerOrders, WorkerUnavailable
from tests.support.celery.project import make_app
from tests.support.celery.worker import Worker
from tests.support.herald.memory_server import worker_of
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("worker_orders"),
]

PREFORK, THREADS, GEVENT, SCALED = "prefork@o", "threads@o", "gevent@o", "scaled@o"


@pytest.fixture(scope="module")
def app(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Celery]:
    """An app with four workers, two of which have settings that forbid something."""
    logs = tmp_path_factory.mktemp("workers")
    url, names = module_valkey.url, f"orders-{time.time_ns()}"
    generous = make_app(url, url, names, herald_shared={"worker_pool_restarts": True})
    strict = make_app(
        url, url, names, herald_shared={"worker_disable_rate_limits": True}
    )
    workers = [
        _make(generous, logs, PREFORK, "prefork"),
        _make(generous, logs, THREADS, "threads"),
        _make(strict, logs, GEVENT, "gevent"),
        _make(generous, logs, SCALED, "prefork", "--autoscale", "3,1"),
    ]
    with ThreadPoolExecutor(len(workers)) as starting:
        list(starting.map(Worker.start, workers))
    yield generous
    for one in workers:
        one.close()
    for made in (generous, strict):
        made.close()  # pyright: ignore[reportUnknownMemberType]


def _make(app: Celery, logs: Path, name: str, pool: str, *extra: str) -> Worker:
    return Worker(app, logs / f"{name}.log", pool=pool, hostname=name, extra=extra)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers take their time on a busy machine."""
    monkeypatch.setattr(replies, "VERIFY_TIMEOUT_S", 60.0)
    monkeypatch.setattr(runner, "ANSWER_TIMEOUT_S", 10.0)


@pytest.fixture
async def orders(app: Celery) -> WorkerOrders:
    """What gives orders to the workers of `app`."""
    store = MemoryStore()
    known = [worker_of(host) for host in (PREFORK, THREADS, GEVENT, SCALED)]
    await store.store([], known, now=time.time())
    return WorkerOrders(WorkerAsker(app), store, OrderBook(store), AuditLog(store))


async def give(orders: WorkerOrders, host: str, command: str, **given: Any) -> Order:
    """Give an order, and return it with its outcome."""
    return await orders.give(host, parse_command(command, given), 60)


@pytest.mark.parametrize("host", [PREFORK, GEVENT])
async def test_a_pool_grows_and_shrinks(orders: WorkerOrders, host: str) -> None:
    grown = await give(orders, host, "pool_grow", n=2)
    shrunk = await give(orders, host, "pool_shrink", n=2)
    assert (grown.state, grown.message) == (
        "verified",
        "The pool has 4 now, 2 before.",
    )
    assert (shrunk.state, shrunk.message) == (
        "verified",
        "The pool has 2 now, 4 before.",
    )


ADD = {"task_name": "add"}

REFUSALS: list[tuple[str, str, dict[str, Any], str]] = [
    (THREADS, "pool_grow", {"n": 1}, "its kind of pool cannot change its size"),
    (THREADS, "pool_shrink", {"n": 1}, "its kind of pool cannot change its size"),
    (SCALED, "pool_grow", {"n": 1}, "change the range with autoscale"),
    (PREFORK, "pool_shrink", {"n": 9}, "Nothing was sent: the pool has 2"),
    (PREFORK, "autoscale", {"max": 3}, "started without --autoscale"),
    (GEVENT, "pool_restart", {}, "set worker_pool_restarts = True"),
    (
        PREFORK,
        "rate_limit",
        {"task_name": "nope", "rate_limit": 1},
        "registers no task named nope",
    ),
]


@pytest.mark.parametrize(("host", "command", "given", "part"), REFUSALS)
async def test_an_order_that_a_worker_refuses(
    orders: WorkerOrders, host: str, command: str, given: dict[str, Any], part: str
) -> None:
    refused = await give(orders, host, command, **given)
    assert refused.state == "refused"
    assert part in refused.message


IGNORED: list[tuple[str, str, dict[str, Any], str]] = [
    (GEVENT, "rate_limit", {**ADD, "rate_limit": "9/m"}, "ignores all rate limits"),
    (GEVENT, "time_limit", {**ADD, "soft": 5}, "enforces no soft time limits"),
    (THREADS, "time_limit", {**ADD, "hard": 5}, "enforces no time limits"),
    (THREADS, "pool_restart", {}, "has no processes that it could restart"),
]


@pytest.mark.parametrize(("host", "command", "given", "part"), IGNORED)
async def test_an_order_that_a_worker_accepts_and_ignores(
    orders: WorkerOrders, host: str, command: str, given: dict[str, Any], part: str
) -> None:
    ignored = await give(orders, host, command, **given)
    assert ignored.state == "not_verified"
    assert part in ignored.message


OBEYED: list[tuple[str, str, dict[str, Any]]] = [
    (SCALED, "autoscale", {"max": 4, "min": 2}),
    *(
        (host, "add_consumer", {"queue": "extra"})
        for host in (PREFORK, THREADS, GEVENT)
    ),
    *(
        (host, "cancel_consumer", {"queue": "extra"})
        for host in (PREFORK, THREADS, GEVENT)
    ),
    (PREFORK, "rate_limit", {**ADD, "rate_limit": "10/m"}),
    (THREADS, "rate_limit", {**ADD, "rate_limit": 0}),
    (PREFORK, "time_limit", {**ADD, "soft": 5, "hard": 6.5}),
    (GEVENT, "time_limit", {**ADD, "hard": 6}),
    (PREFORK, "time_limit", ADD),
    (PREFORK, "disable_events", {}),
    (PREFORK, "enable_events", {}),
    (THREADS, "disable_events", {}),
    (GEVENT, "enable_events", {}),
]


@pytest.mark.parametrize(("host", "command", "given"), OBEYED)
async def test_an_order_that_a_worker_obeys(
    orders: WorkerOrders, host: str, command: str, given: dict[str, Any]
) -> None:
    obeyed = await give(orders, host, command, **given)
    assert (obeyed.state, obeyed.message) == ("verified", obeyed.message)


async def test_a_pool_is_restarted_as_its_processes_receive_tasks(
    orders: WorkerOrders, app: Celery
) -> None:
    accepted = await orders.give(PREFORK, parse_command("pool_restart", {}), 0)

    async def ended() -> Order:
        # An idle process sees that it is to end when it receives a task. Celery gives
        # each task to the first free process: all get one only if all are needed.
        for _ in range(2):
            await asyncio.to_thread(app.send_task, "sleepy", (0.5,))
        return await orders.wait(accepted, 1.0)

    done = await wait_until_async(ended, 60, accept=lambda one: one.is_ended)
    assert (done.state, done.message) == (
        "verified",
        "All 2 processes of the pool are new.",
    )


async def test_a_pool_whose_idle_processes_stay_is_not_verified(
    orders: WorkerOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "VERIFY_TIMEOUT_S", 0.5)
    done = await give(orders, SCALED, "pool_restart")
    assert done.state == "not_verified"
    assert "not replaced yet; an idle one is replaced" in done.message


async def test_each_step_is_a_document_and_the_order_is_audited(
    orders: WorkerOrders,
) -> None:
    done = await give(orders, PREFORK, "add_consumer", queue="more")
    [stored] = await orders.book.list_orders()
    assert stored == done
    assert stored.details["arguments"] == {"queue": "more"}
    assert (stored.kind, stored.target, stored.who) == (
        "add_consumer",
        PREFORK,
        "herald",
    )


async def test_a_worker_carries_out_one_order_at_a_time(orders: WorkerOrders) -> None:
    first = await orders.give(PREFORK, parse_command("pool_grow", {}), 0)
    with pytest.raises(WorkerUnavailable, match=f"another order .{first.id}"):
        await give(orders, PREFORK, "pool_grow")
    assert (await orders.wait(first, 60)).state == "verified"
    assert (await give(orders, PREFORK, "pool_shrink")).state == "verified"
