"""Cancels of ids that nobody knows, that only others know, and without a broker."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from fastmcp import Client

from herald_core.store.memory.store import MemoryStore
from tests.support.celery.worker import AppFactory, Worker
from tests.support.clients.http import asking
from tests.support.herald.mcp_environment import call
from tests.support.herald.monitored_server import control_of, in_state, online, watched
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("cancel_unknown"),
]


def keys(server: PrivateValkey) -> set[bytes]:
    """Return the keys of results."""
    with server.client() as client:
        found = cast("list[bytes]", client.keys("celery-task-meta-*"))
    return set(found)


async def test_nothing_is_sent_for_an_id_that_nobody_knows(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log")
    async with watched(app) as made, Client(made.door) as client:
        await asyncio.to_thread(worker.start)
        try:
            await online(made, worker.hostname)
            before = keys(module_valkey)
            told = await call(client, "cancel_task", task_id="never-was")
            again = await call(client, "cancel_task", task_id="never-was")
            control = cast(Any, app).control
            revoked = await asyncio.to_thread(control.inspect(timeout=1).revoked)
        finally:
            worker.kill()
        state = (await made.store.get_task("never-was")).state
        notes = await made.store.get_items("cancel")
    assert (told["outcome"], told["status"]) == ("unknown", "unknown")
    assert again["outcome"] == "unknown"
    assert "nothing was cancelled" in told["message"]
    assert (state, notes) == ("UNKNOWN", {})
    assert keys(module_valkey) == before
    assert [ids for ids in revoked.values() if ids] == []


async def test_a_server_that_ends_leaves_no_connection_to_the_result_backend(
    module_valkey: PrivateValkey, valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url, valkey.url)
    with valkey.client() as client:
        lines = cast(Any, client).client_list
        async with serving(module_valkey.url, celery=app) as server:
            async with asking(server) as ask:
                answer = await ask.post("/api/v1/tasks/never-was/cancel")
            assert answer.json()["outcome"] == "unknown"
            assert len(lines()) > 1
        await wait_until_async(
            lambda: len(lines()) == 1, message="only the test is connected"
        )


async def test_what_waits_in_a_queue_unheard_is_cancelled(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    sent = app.send_task("sleepy", kwargs={"seconds": 60})
    async with watched(app) as made:
        told = await control_of(made).cancel(sent.id)
        kept = await made.store.get_items("cancel")
        worker = Worker(app, tmp_path / "worker.log", concurrency=1)
        await asyncio.to_thread(worker.start)
        try:
            await in_state(made, sent.id, "REVOKED")
        finally:
            worker.kill()
    assert (told.outcome, told.state) == ("unanswered", "PENDING")
    assert list(kept) == [sent.id]


async def test_what_a_worker_runs_unheard_is_terminated(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log", concurrency=1, events=False)
    await asyncio.to_thread(worker.start)
    try:
        async with watched(app, MemoryStore()) as made:
            sent = app.send_task("sleepy", kwargs={"seconds": 60})
            control = cast(Any, app).control

            async def runs() -> bool:
                asked = control.inspect(timeout=1).active
                told = await asyncio.to_thread(asked)
                return any(told.values())

            await wait_until_async(runs, 30)
            # As if it were of a time before Herald.
            told = await control_of(made).cancel(sent.id)
            after = await asyncio.to_thread(control.inspect(timeout=1).active)
    finally:
        worker.kill()
    assert told.outcome != "unknown"
    assert not any(after.values())


async def test_what_ended_unheard_is_too_late(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "worker.log", concurrency=1)
    await asyncio.to_thread(worker.start)
    try:
        sent = app.send_task("add", (1, 2))
        assert await asyncio.to_thread(sent.get, timeout=30) == 3
        async with watched(app) as made:
            told = await control_of(made).cancel(sent.id)
    finally:
        worker.kill()
    assert (told.outcome, told.state) == ("too_late", "SUCCESS")


async def test_a_cancel_without_a_broker_is_kept_and_says_so(
    project_app: AppFactory, tmp_path: Path
) -> None:
    broker = PrivateValkey()
    broker.start()
    try:
        app = project_app(broker.url)
        worker = Worker(app, tmp_path / "worker.log", concurrency=1)
        await asyncio.to_thread(worker.start)
        async with watched(app) as made:
            await online(made, worker.hostname)
            sent = app.send_task("sleepy", kwargs={"seconds": 50})
            await in_state(made, sent.id, "STARTED")
            broker.kill()
            told = await control_of(made).cancel(sent.id)
            why = await control_of(made).canceller.get_request_time(sent.id)
            await asyncio.to_thread(broker.start)
            task = await in_state(made, sent.id, "REVOKED")
        worker.kill()
    finally:
        broker.stop()
    assert (told.outcome, told.state) == ("unanswered", "STARTED")
    assert "cannot be reached" in told.message
    assert "It is kept" in told.message
    assert why is not None
    assert task.started_at
