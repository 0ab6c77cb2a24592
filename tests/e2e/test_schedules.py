"""Periodic tasks of a real beat and real workers: what did not run is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from herald_core.store.memory.store import MemoryStore
from herald_monitor.reconcile.schedules import follower
from herald_monitor.reconcile.schedules.setup import SchedulesOptions
from herald_monitor.runtime.monitor import Monitor
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.schedules.beat import running_beat
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

Schedule = dict[str, Any]
QUICK = SchedulesOptions(every=0.2, grace=3.0)
WAIT_S = 60.0


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "SETTLE_S", 0.0)


def make_project(
    project_app: AppFactory, valkey: PrivateValkey, **schedules: dict[str, Any]
) -> Celery:
    """Return the project with a `beat_schedule`, which beat has as well."""
    shared = {"beat_schedule": schedules}
    return project_app(valkey.url, valkey.url, herald_shared=shared)


class Followed:
    """The schedules as a monitor stores them."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    async def wait_for(
        self, name: str, accept: Callable[[Schedule], object], what: str
    ) -> Schedule:
        """Wait until the schedule `name` is as `accept` wants it; return it."""

        async def read() -> Schedule:
            found = await self.store.list_documents("schedules")
            none: Schedule = {}
            return next((one.data for one in found if one.data["name"] == name), none)

        return await wait_until_async(
            read, WAIT_S, what, accept=lambda one: bool(one and accept(one))
        )


@contextlib.asynccontextmanager
async def following(
    app: Celery, options: SchedulesOptions = QUICK
) -> AsyncGenerator[Followed]:
    """Run a monitor of `app` while the block runs."""
    stop, store = asyncio.Event(), MemoryStore()
    running = asyncio.create_task(Monitor(app, store, schedules=options).run(stop))

    async def is_connected() -> bool:
        return any(one.connected for one in await store.list_monitors())

    try:
        await wait_until_async(is_connected, WAIT_S, "the monitor is connected")
        yield Followed(store)
    finally:
        stop.set()
        await running


async def test_runs_of_beat_are_tied_to_their_schedule(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    tick = {"task": "add", "schedule": 2.0, "args": [1, 2]}
    tock = {"task": "add", "schedule": 2.0, "args": [3, 4]}
    app = make_project(project_app, valkey, tick=tick, other=tock)
    celery_worker(app, concurrency=1)
    async with following(app) as schedules:
        with running_beat(app, tmp_path):
            one = await schedules.wait_for(
                "tick",
                lambda one: one["state"] == "ok" and one["strip"][-1].get("ok", 0) > 2,
                "three runs ended well",
            )
            other = await schedules.wait_for(
                "other", lambda one: one["state"] == "ok", "the other one as well"
            )
    assert one["problems"] == []
    ids = {one["last_run"]["task_id"], other["last_run"]["task_id"]}
    assert len(ids) == 2, "the arguments tell them apart"
    for name in ids:
        task = await schedules.store.get_task(name)
        assert task.name == "add"


async def test_without_a_worker_a_run_is_late(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    tick = {"task": "add", "schedule": 2.0, "args": [1, 2]}
    app = make_project(project_app, valkey, tick=tick)
    async with following(app) as schedules:
        with running_beat(app, tmp_path):
            one = await schedules.wait_for(
                "tick", lambda one: one["state"] == "late", "a run waits"
            )
    assert "no worker has started it" in one["problems"][0]["message"]


async def test_a_beat_that_stops_is_silent(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    tick = {"task": "add", "schedule": 1.0, "args": [1, 2]}
    app = make_project(project_app, valkey, tick=tick)
    celery_worker(app, concurrency=1)
    async with following(app) as schedules:
        with running_beat(app, tmp_path):
            await schedules.wait_for(
                "tick", lambda one: one["state"] == "ok", "it runs"
            )
        one = await schedules.wait_for(
            "tick", lambda one: one["state"] == "beat_silent", "beat is silent"
        )
        kinds = [problem["kind"] for problem in one["problems"]]
        assert kinds == ["beat_silent", "missed"]
        assert "nothing was submitted" in one["problems"][1]["message"]
        with running_beat(app, tmp_path):
            await schedules.wait_for(
                "tick", lambda one: one["state"] in ("ok", "running"), "it runs again"
            )


async def test_a_run_that_takes_longer_than_its_interval_overlaps(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    slow = {"task": "sleepy", "schedule": 2.0, "args": [5]}
    app = make_project(project_app, valkey, slow=slow)
    celery_worker(app, concurrency=8, pool="threads")
    async with following(app, SchedulesOptions(every=0.2, grace=15.0)) as schedules:
        with running_beat(app, tmp_path):
            one = await schedules.wait_for(
                "slow",
                lambda one: any(p["kind"] == "overlapping" for p in one["problems"]),
                "two runs at a time",
            )
    assert "longer than the interval" in str(one["problems"])


async def test_a_run_that_fails_is_told_with_its_exception(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    bad = {"task": "fail", "schedule": 2.0, "args": ["no luck"]}
    app = make_project(project_app, valkey, bad=bad)
    celery_worker(app, concurrency=1)
    async with following(app) as schedules:
        with running_beat(app, tmp_path):
            one = await schedules.wait_for(
                "bad", lambda one: one["state"] == "failed", "a run failed"
            )
    # A busy machine may have been late besides.
    [problem] = [each for each in one["problems"] if each["kind"] == "failed"]
    assert "no luck" in problem["message"]
    assert (await schedules.store.get_task(problem["task_id"])).state == "FAILURE"


async def test_redbeat_is_followed(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    tick = {"task": "add", "schedule": 2.0, "args": [1, 2]}
    own = {"redbeat_redis_url": valkey.url, "redbeat_key_prefix": "mine:"}
    shared = {"beat_schedule": {"tick": tick}, "redbeat_lock_key": None, **own}
    app = project_app(valkey.url, valkey.url, herald_shared=shared)
    celery_worker(app, concurrency=1)
    scheduler = ("-S", "redbeat.RedBeatScheduler", "--max-interval", "1")
    with running_beat(app, tmp_path, *scheduler):
        async with following(app) as schedules:
            one = await schedules.wait_for(
                "tick",
                lambda one: one["source"] == "redbeat" and one["state"] == "ok",
                "a run of RedBeat",
            )
    assert one["interval_s"] == 2.0
