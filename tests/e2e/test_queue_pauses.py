"""A queue is paused at real workers, stays so for those that join, and is resumed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx2
import pytest
from celery import Celery

from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.worker import AppFactory, Worker
from tests.support.clients.http import asking, refused
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("queue_pauses"),
]


@contextlib.asynccontextmanager
async def monitored(
    app: Celery, url: str
) -> AsyncGenerator[tuple[Server, httpx2.AsyncClient]]:
    """Serve with a monitor that measures the queues of `app` every second."""
    async with serving(url, celery=app) as server, asking(server) as ask:
        stop = asyncio.Event()
        monitor = Monitor(
            app, server.store, node=f"m-{uuid4().hex[:6]}", queues_every=1.0
        )
        running = asyncio.create_task(monitor.run(stop))
        try:
            yield server, ask
        finally:
            stop.set()
            await running


async def known(ask: httpx2.AsyncClient, *hosts: str) -> None:
    """Wait until workers are known to be online."""

    async def there() -> bool:
        workers = (await ask.get("/api/v1/workers")).json()["workers"]
        online = {one["hostname"] for one in workers if one["state"] == "online"}
        return online >= set(hosts)

    await wait_until_async(there, 60)


async def consumes(app: Celery, host: str, queue: str) -> bool | None:
    """Return whether a worker consumes a queue; None if it does not answer."""
    inspect = cast(Any, app).control.inspect(destination=[host], timeout=5)
    answer = await asyncio.to_thread(inspect.active_queues)
    return None if not answer else any(q["name"] == queue for q in answer[host])


async def measured(ask: httpx2.AsyncClient, queue: str) -> dict[str, Any]:
    """Return a queue as it was measured last."""
    queues = (await ask.get("/api/v1/queues")).json()["queues"]
    nothing: dict[str, Any] = {}
    return next((one for one in queues if one["name"] == queue), nothing)


async def test_a_paused_queue_has_no_consumer_until_it_is_resumed(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    queue = str(cast(Any, app).conf.task_default_queue)
    one = Worker(app, tmp_path / "one.log", concurrency=1)
    two = Worker(app, tmp_path / "two.log", pool="threads")
    later = Worker(app, tmp_path / "later.log", pool="gevent")
    path = f"/api/v1/queues/{queue}"
    async with monitored(app, module_valkey.url) as (_, ask):
        try:
            for worker in (one, two):
                await asyncio.to_thread(worker.start)
            await known(ask, one.hostname, two.hostname)
            paused = await ask.post(f"{path}/pause", timeout=60)
            assert paused.status_code == 200, paused.text
            assert paused.json()["state"] == "verified"
            assert not await consumes(app, one.hostname, queue)
            assert not await consumes(app, two.hostname, queue)

            # It is no alarm, and `why` says who paused it.
            sent = app.send_task("add", (1, 2))
            seen = await wait_until_async(
                lambda: measured(ask, queue),
                60,
                accept=lambda q: q.get("depth") and q.get("consumers") == [],
            )
            assert seen["paused"]["who"] == "owner"
            assert "stranded" not in seen
            why = (await ask.get(f"/api/v1/tasks/{sent.id}/why")).json()
            assert why["reason"] == "queue_paused"
            assert "paused by owner since" in why["message"]

            # A worker that joins obeys too.
            await asyncio.to_thread(later.start)

            async def obeys() -> bool:
                return await consumes(app, later.hostname, queue) is False

            await wait_until_async(obeys, 60)
            assert (await ask.get(f"/api/v1/tasks/{sent.id}")).json()["state"] in (
                "PENDING",
                "SUCCESS",  # the new worker may have taken it before it obeyed
            )

            resumed = await ask.post(f"{path}/resume", timeout=60)
            assert resumed.json()["state"] == "verified", resumed.text
            for worker in (one, two, later):
                assert await consumes(app, worker.hostname, queue)
            task = app.send_task("add", (1, 2))
            await asyncio.to_thread(task.get, timeout=60)
            refused(await ask.post(f"{path}/resume"), 404, "is not paused")
            shown = await measured(ask, queue)
            assert "paused" not in shown
        finally:
            for worker in (one, two, later):
                worker.close()


async def test_a_worker_that_was_restarted_is_paused_again_and_resumed_by_its_start(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    queue = str(cast(Any, app).conf.task_default_queue)
    worker = Worker(app, tmp_path / "one.log", concurrency=1)
    path = f"/api/v1/queues/{queue}"
    async with monitored(app, module_valkey.url) as (_, ask):
        try:
            await asyncio.to_thread(worker.start)
            await known(ask, worker.hostname)
            first = (await ask.post(f"{path}/pause", timeout=60)).json()
            again = (await ask.post(f"{path}/pause", timeout=60)).json()
            assert (again["id"], "paused already" in again["message"]) == (
                first["id"],
                True,
            )
            await asyncio.to_thread(worker.stop)
            await asyncio.to_thread(worker.start)

            async def obeys() -> bool:
                return await consumes(app, worker.hostname, queue) is False

            await wait_until_async(obeys, 60)
            assert (await ask.post(f"{path}/resume", timeout=60)).json()[
                "state"
            ] == "verified"
            assert await consumes(app, worker.hostname, queue)
        finally:
            worker.close()


async def test_what_is_no_queue_cannot_be_paused(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with serving(module_valkey.url, celery=app) as server, asking(server) as ask:
        for name in ("unacked", "_kombu.binding.x", "x" * 300):
            refused(await ask.post(f"/api/v1/queues/{name}/pause"), 400, "is no queue")
        refused(await ask.post("/api/v1/queues/celery/resume"), 404, "is not paused")
    async with (
        serving(module_valkey.url, celery=app, worker_control=False) as server,
        asking(server) as ask,
    ):
        off = "HERALD_WORKER_CONTROL=0"
        refused(await ask.post("/api/v1/queues/celery/pause"), 403, off)


async def test_a_worker_is_described_by_what_it_says_and_what_it_left_open(
    module_valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(module_valkey.url, module_valkey.url)
    worker = Worker(app, tmp_path / "one.log", pool="solo", concurrency=1)
    path = f"/api/v1/workers/{worker.hostname}"
    async with monitored(app, module_valkey.url) as (_, ask):
        try:
            await asyncio.to_thread(worker.start)
            await known(ask, worker.hostname)
            said = (await ask.get(path, timeout=60)).json()
            assert said["asked"]["unanswered"] == []
            assert said["hostname"] == worker.hostname
            assert said["pool_details"]["max_concurrency"] == 1
            assert "add" in {one["name"] for one in said["registered"]}
            assert said["settings"]["worker_prefetch_multiplier"] == 1
            assert said["can_be_ordered"]
            gate = tmp_path / "gate"
            app.send_task("hold", (str(gate),))

            async def is_busy() -> bool:
                answer = (await ask.get(path, timeout=60)).json()
                return "stats" in answer["asked"]["unanswered"]

            await wait_until_async(is_busy, 60)
            gate.touch()
            refused(await ask.get("/api/v1/workers/nobody"), 404, "no worker 'nobody'")
        finally:
            worker.close()
