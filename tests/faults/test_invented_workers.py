"""Heartbeats under ever new names: who lives stays, all else goes on, and it ends."""

import base64
import json
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import redis
from celery import Celery

from herald_core.model.changes import WORKER
from herald_core.model.cursor import START
from herald_core.store.redis.store import RedisStore
from tests.support.celery.worker import AppFactory
from tests.support.herald.monitor_process import (
    MonitorProcess,
    heard_by,
    image,
    open_store,
)
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.celery, pytest.mark.anyio]

MOST = 500
STOPS_WITHIN = 15.0
"""Seconds: two for the receiver and two for what waits to be stored."""


def published(app: Celery, events: list[dict[str, Any]]) -> None:
    """Publish `events` as kombu does."""
    conf = cast(Any, app).conf
    with redis.Redis.from_url(conf.broker_url) as client:
        pipe = client.pipeline(transaction=False)
        for number, event in enumerate(events):
            key = event["type"].replace("-", ".")
            body = {"timestamp": time.time(), "pid": 7, "clock": number, **event}
            envelope = {
                "body": base64.b64encode(json.dumps(body).encode()).decode(),
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "headers": {},
                "properties": {"body_encoding": "base64"},
            }
            pipe.publish(f"/0.{conf.event_exchange}/{key}", json.dumps(envelope))
            if number % 500 == 499:
                pipe.execute()
        pipe.execute()


def heartbeats(names: list[str]) -> list[dict[str, Any]]:
    more = {"type": "worker-heartbeat", "freq": 2.0, "active": 0, "processed": 1}
    return [{"hostname": name, **more} for name in names]


async def told_of(store: RedisStore, hostname: str) -> list[str]:
    """Return the states in which a worker was announced, in order."""
    states: list[str] = []
    after = START
    while entries := await store.read_entries(after):
        after = entries[-1].cursor
        changes = [change for entry in entries for change in entry.changes]
        states += [
            msgspec.json.decode(one.json)["state"]
            for one in changes
            if (one.kind, one.id) == (WORKER, hostname)
        ]
    return states


def runs(number: int) -> list[dict[str, Any]]:
    """Return the starts of tasks, each on a worker of its own."""
    return [
        {"type": "task-started", "uuid": f"t{i}", "hostname": f"evil{i}@h"}
        for i in range(number)
    ]


async def stored(store: RedisStore, task_id: str) -> None:
    """Wait until the task is in the store."""

    async def known() -> bool:
        return (await store.get_task(task_id)).state != "UNKNOWN"

    await wait_until_async(known, 60, f"{task_id} is stored")


def monitor_of(app: Celery, server: PrivateValkey, log: Path) -> MonitorProcess:
    env = {"HERALD_MAX_WORKERS": str(MOST), "HERALD_RECONCILE_EVERY": "0.2"}
    return MonitorProcess(app, server.url, log, "m1", HERALD_WRITERS="0", **env)


@pytest.mark.parametrize(
    "number", [5_000, pytest.param(100_000, marks=pytest.mark.soak)]
)
async def test_invented_workers_are_bounded_and_a_monitor_stops_amid_them(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path, number: int
) -> None:
    app = project_app(valkey.url)
    monitor = monitor_of(app, valkey, tmp_path / "monitor.log")
    async with open_store(valkey.url) as store:
        monitor.start()
        try:
            await heard_by(store, monitor, 15)
            published(app, heartbeats(["own@h"]))
            names = [f"evil{i}@h" for i in range(number)]
            published(app, [*heartbeats(names), *runs(number // 10)])
            published(app, [{"type": "task-sent", "uuid": "ours", "name": "x"}])
            await stored(store, "ours")
            workers = await store.list_workers(now=time.time())
            assert len(workers) == MOST
            assert "own@h" in {one.hostname for one in workers}

            async def told() -> bool:
                said = await image(store, "m1")
                assert said is not None
                refused = said.counters["workers_refused"] == number + 1 - MOST
                return refused and "HERALD_MAX_WORKERS" in (said.trouble or "")

            await wait_until_async(told, 30, "what was refused is told")
            published(app, [*heartbeats(names), *runs(number // 10)])
            began = time.monotonic()
            assert monitor.stop(), monitor.log.read_text()[-3000:]
            assert time.monotonic() - began < STOPS_WITHIN
        finally:
            if monitor.alive:
                monitor.kill()


async def test_a_worker_is_not_silent_while_its_heartbeat_waits_to_be_read(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(valkey.url)
    monitor = monitor_of(app, valkey, tmp_path / "monitor.log")
    own = [{**heartbeats(["own@h"])[0], "freq": 0.5}]
    async with open_store(valkey.url) as store:

        async def is_shown(state: str) -> bool:
            workers = await store.list_workers(now=time.time())
            return [w.state for w in workers if w.hostname == "own@h"] == [state]

        monitor.start()
        try:
            await heard_by(store, monitor, 15)
            published(app, own)
            await wait_until_async(lambda: is_shown("online"), 30, "it is online")
            with monitor.paused():
                await wait_until_async(
                    lambda: is_shown("silent"), 30, "its time is over"
                )
                flood = heartbeats([f"evil{i}@h" for i in range(10_000)])
                published(app, [*flood, *own])
                published(app, [{"type": "task-sent", "uuid": "last", "name": "x"}])
            await stored(store, "last")
            assert set(await told_of(store, "own@h")) == {"online"}
        finally:
            assert monitor.stop(), monitor.log.read_text()[-3000:]
