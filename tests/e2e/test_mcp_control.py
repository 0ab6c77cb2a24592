"""Groups, chains and cancels over MCP, with a real worker and a monitor."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from celery import Celery
from fastmcp import Client

from herald_monitor.runtime.monitor import Monitor
from herald_server.catalog.catalog import Catalog
from herald_server.control.cancel.replay import CancelReplay
from tests.support.celery.project import make_app
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.mcp_environment import House, call, house
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("mcp_control"),
]

ALL = Catalog([], ["*"], ["*"])


@pytest.fixture(scope="module")
def app(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Celery]:
    """The project's app, with one worker for all tests of this module."""
    made = make_app(module_valkey.url, module_valkey.url)
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    worker = Worker(made, log, concurrency=2, hostname="w1@shared")
    worker.start()
    yield made
    worker.close()
    cast(Any, made).close()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests of this module."""
    return "asyncio"


Door = tuple[House, Client[Any]]


@pytest.fixture(scope="module")
async def door(app: Celery) -> AsyncGenerator[Door, None]:
    """A house for all tests of this module, with its worker heard of."""
    async with opened(app) as (made, client):
        await alive(made)
        yield made, client


@contextlib.asynccontextmanager
async def opened(app: Celery) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    """Open a house that a monitor tells of the app's events."""
    async with house(app, catalog=ALL) as made:
        stop = asyncio.Event()
        node = f"test-{uuid4().hex[:6]}"
        hearing = asyncio.create_task(Monitor(app, made.store, node=node).run(stop))
        assert made.shared.control is not None
        repeating = asyncio.create_task(
            CancelReplay(
                made.shared.control.canceller, made.store, made.hub, node
            ).run()
        )
        try:
            await wait_until_async(lambda: heard(made), 30)
            async with Client(made.door) as client:
                yield made, client
        finally:
            repeating.cancel()
            stop.set()
            await asyncio.gather(hearing, repeating, return_exceptions=True)


async def heard(made: House) -> bool:
    """Say whether the monitor hears the broker."""
    return any(one.connected for one in await made.store.list_monitors())


async def in_state(made: House, task_id: str, *states: str) -> None:
    """Wait until a task is in one of `states`."""

    async def there() -> bool:
        return (await made.store.get_task(task_id)).state in states

    await wait_until_async(there, 30)


async def alive(made: House, hostname: str = "w1@shared") -> None:
    """Wait until a heartbeat of the worker was heard."""

    async def there() -> bool:
        workers = await made.store.list_workers(now=asyncio.get_running_loop().time())
        return any(one.hostname == hostname for one in workers)

    await wait_until_async(there, 30)


async def start(client: Client[Any], name: str, **arguments: Any) -> str:
    """Start a task by Celery's name; return its id."""
    told = await call(client, "start_background_task", task_type=name, **arguments)
    return str(told["task_id"])


async def test_a_group_runs_and_ends_as_one(door: Door) -> None:
    made, client = door
    items = [{"task_type": "add", "params": {"x": n, "y": 1}} for n in range(3)]
    told = await call(client, "start_task_group", tasks=items)
    for one in told["tasks"]:
        await in_state(made, one["task_id"], "SUCCESS")
    status = await call(client, "get_group_status", group_id=told["group_id"])
    results = [
        await call(client, "get_task_status", task_id=one["task_id"])
        for one in told["tasks"]
    ]
    assert (status["status"], status["done"], status["progress"]) == (
        "success",
        True,
        100,
    )
    assert [one["result"] for one in results] == [1, 2, 3]


async def test_a_chain_passes_results_on_if_asked_to(door: Door) -> None:
    made, client = door
    items = [
        {"task_type": "add", "params": {"x": 1, "y": 2}},
        {"task_type": "add", "params": {"y": 10}},
    ]
    told = await call(client, "start_task_chain", tasks=items, pass_results=True)
    first, second = (one["task_id"] for one in told["tasks"])
    await in_state(made, second, "SUCCESS")
    result = await call(client, "get_task_status", task_id=second)
    story = await call(client, "get_task_history", task_id=second)
    listed = await call(client, "list_tasks", root=first)
    assert result["result"] == 13
    assert (story["parent_id"], story["group_id"]) == (first, told["group_id"])
    assert {one["task_id"] for one in listed["tasks"]} == {first, second}


async def test_a_running_task_is_terminated(door: Door) -> None:
    made, client = door
    task_id = await start(client, "sleepy", params={"seconds": 60})
    await in_state(made, task_id, "STARTED")
    told = await call(client, "cancel_task", task_id=task_id)
    assert await made.store.get_items("cancel") == {}
    assert (told["outcome"], told["status"]) == ("terminated", "revoked")
    assert "terminated while it ran" in told["message"]


async def test_a_task_that_waits_for_its_time_is_revoked_at_once(door: Door) -> None:
    made, client = door
    task_id = await start(client, "add", params={"x": 1, "y": 2}, countdown=300)
    await in_state(made, task_id, "RECEIVED")
    before = await call(client, "explain_task", task_id=task_id)
    told = await call(client, "cancel_task", task_id=task_id)
    assert before["reason"] == "eta_ahead"
    assert before["workers_asked"] == 1
    assert told["outcome"] == "revoked"


async def test_a_task_that_waits_in_a_queue_never_runs(door: Door) -> None:
    made, client = door
    items = [{"task_type": "sleepy", "params": {"seconds": 60}}] * 8
    busy = await call(client, "start_task_group", tasks=items)
    # Two run, and a few more are prefetched: nothing else is read meanwhile.
    await in_state(made, busy["tasks"][0]["task_id"], "STARTED")
    await in_state(made, busy["tasks"][1]["task_id"], "STARTED")
    task_id = await start(client, "add", params={"x": 1, "y": 2})
    told = await call(client, "cancel_task", task_id=task_id)
    await call(client, "cancel_group", group_id=busy["group_id"])
    after = await start(client, "add", params={"x": 1, "y": 3})
    await in_state(made, after, "SUCCESS")
    task = await made.store.get_task(task_id)
    assert told["outcome"] == "revoked"
    assert (task.state, task.started_at) == ("REVOKED", None)


async def test_a_group_is_cancelled_as_one(door: Door) -> None:
    made, client = door
    items = [{"task_type": "sleepy", "params": {"seconds": 60}}] * 2
    quick = {"task_type": "add", "params": {"x": 1, "y": 1}}
    told = await call(client, "start_task_group", tasks=[quick, *items])
    ids = [one["task_id"] for one in told["tasks"]]
    await in_state(made, ids[0], "SUCCESS")
    for id_ in ids[1:]:
        await in_state(made, id_, "STARTED")
    done = await call(client, "cancel_group", group_id=told["group_id"])
    status = await call(client, "get_group_status", group_id=told["group_id"])
    assert done["outcomes"] == {"too_late": 1, "terminated": 2}
    assert status["counts"] == {"success": 1, "revoked": 2}
    assert (status["status"], status["done"]) == ("failure", True)


async def test_a_queue_that_nobody_consumes_is_named(door: Door) -> None:
    _, client = door
    task_id = await start(
        client, "add", params={"x": 1, "y": 2}, queue="nobody", expires=60
    )
    told = await call(client, "explain_task", task_id=task_id)
    assert told["reason"] == "no_worker_on_queue"
    assert "'nobody'" in told["message"]
    assert "-Q nobody" in told["advice"]


async def test_a_failed_task_is_retried_for_real(door: Door) -> None:
    made, client = door
    first = await start(client, "fail", params={"message": "broken"})
    await in_state(made, first, "FAILURE")
    told = await call(client, "retry_task", task_id=first)
    await in_state(made, told["task_id"], "FAILURE")
    again = await call(client, "get_task_status", task_id=told["task_id"])
    assert again["error"] == "ValueError('broken')"


async def test_a_cancel_that_nobody_heard_is_told_to_a_worker_that_joins(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    lonely = project_app(module_valkey.url, module_valkey.url)
    async with opened(lonely) as (made, client):
        task_id = await start(client, "sleepy", params={"seconds": 60})
        why = await call(client, "explain_task", task_id=task_id)
        told = await call(client, "cancel_task", task_id=task_id)
        kept = await call(client, "explain_task", task_id=task_id)
        worker = Worker(lonely, tmp_path / "worker.log", concurrency=1)
        starting = asyncio.create_task(asyncio.to_thread(worker.start))
        try:
            await in_state(made, task_id, "REVOKED")

            async def forgotten() -> bool:
                return not await made.store.get_items("cancel")

            await wait_until_async(forgotten, 30)
            await starting
        finally:
            worker.kill()
    assert why["reason"] == "no_worker"
    assert (told["outcome"], told["status"]) == ("unanswered", "pending")
    assert "as soon as a worker answers" in told["message"]
    assert kept["reason"] == "cancel_pending"
