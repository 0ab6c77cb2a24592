"""Every pool under every setting: no living worker's work is lost, no queue stranded.

Some tasks keep a worker for longer than its heartbeats may be missing, in a C call
that lets nothing else of the process run. All that is told is looked at, not the end
alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import msgspec
import pytest
import redis
from celery import Celery

from herald_core.model.changes import QUEUE, TASK, Change
from herald_core.model.cursor import START
from herald_core.model.workers.queue import QueueView
from herald_core.store.ports import Store
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.reconciling_monitor import Truth, submit, truth
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.rabbitmq,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

LOST_AFTER = 3.0
BLOCKED_FOR = 7
"""Seconds: longer than three heartbeats of a second, and `LOST_AFTER` beyond that."""

POOLS = {"prefork": 2, "threads": 4, "gevent": 8, "eventlet": 8, "solo": 1}
"""Pool → its slots."""


class Setting(NamedTuple):
    """How a worker is set: its broker, settings that all share, further words."""

    broker: str = "redis"
    shared: Mapping[str, object] = MappingProxyType({})
    words: tuple[str, ...] = ()


def _set(prefetch: int, **more: object) -> dict[str, object]:
    return {"worker_prefetch_multiplier": prefetch, **more}


PRIORITIES: dict[str, object] = {
    "queue_order_strategy": "priority",
    "priority_steps": list(range(10)),
}
SETTINGS = {
    "early, 1": Setting(shared=_set(1)),
    "early, 16": Setting(shared=_set(16)),
    "late, 1": Setting(shared=_set(1, task_acks_late=True)),
    "late, 16": Setting(shared=_set(16, task_acks_late=True)),
    "amqp, early, 16": Setting("amqp", _set(16)),
    "amqp, late, 1": Setting("amqp", _set(1, task_acks_late=True)),
    "amqp, late, 16": Setting("amqp", _set(16, task_acks_late=True)),
    "priorities": Setting(shared=_set(1, broker_transport_options=PRIORITIES)),
    "quorum, 1": Setting("amqp", _set(1, task_default_queue_type="quorum")),
    "quorum, late, 16": Setting(
        "amqp", _set(16, task_default_queue_type="quorum", task_acks_late=True)
    ),
    "autoscale": Setting(shared=_set(4), words=("--autoscale", "4,1")),
    "amqp, autoscale": Setting("amqp", _set(4), ("--autoscale", "4,1")),
}

MIXED = [
    ("prefork", "autoscale"),
    ("threads", "late, 16"),
    ("gevent", "priorities"),
    ("eventlet", "late, 1"),
    ("solo", "quorum, late, 16"),
]

ENDS = {"fail": "FAILURE"}


class Run(NamedTuple):
    """What one worker came to: what was told wrongly, and how it took."""

    pool: str
    setting: str
    tasks: int
    seconds: float
    wrong: list[str]


class Watch:
    """Notes every wrong sentence that a store tells while the worker lives."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self.wrong: list[str] = []

    async def follow(self, store: Store) -> None:
        """Look at each change as it is told, until cancelled."""
        after = START
        while True:
            for entry in await store.read_entries(after, limit=200):
                after = entry.cursor
                self.wrong += [
                    what for one in entry.changes if (what := self._see(one))
                ]
            await asyncio.sleep(0.05)

    def _see(self, change: Change) -> str:
        if change.kind == TASK and change.task and change.task.state == "LOST":
            return f"{change.task.name} was lost: {change.task.reason}"
        if change.kind != QUEUE or not change.json:
            return ""
        queue = msgspec.json.decode(change.json, type=QueueView)
        if queue.is_unconsumed:
            return f"a queue was stranded: {queue}"
        # A worker that keeps silent is named as one that may consume.
        if queue.may_be_unconsumed and self._worker not in queue.silent_consumers:
            return f"a queue may be stranded, and not by the worker's silence: {queue}"
        return ""


@asynccontextmanager
async def _working(worker: Worker) -> AsyncGenerator[None]:
    try:
        await asyncio.to_thread(worker.start)
        yield
    finally:
        # What is told from here on is not looked at.
        worker.kill()


@asynccontextmanager
async def _watched(held: Truth, worker: str) -> AsyncGenerator[Watch]:
    watch = Watch(worker)
    following = asyncio.create_task(watch.follow(held.store))
    try:
        yield watch
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _send(app: Celery, number: int, blocks: int, log: Path) -> dict[str, str]:
    """Send `number` tasks, some of which block; return the id of each, and its name."""
    names = ["add", "fail", "add", "note", "retry_surely", "add", "note", "add"]
    sent = [names[place % len(names)] for place in range(number - blocks)]
    middle = len(sent) // 3
    sent[middle:middle] = ["block"] * blocks
    given = {"add": (1, 2), "block": (BLOCKED_FOR,), "note": (str(log),)}
    return {
        submit(app, name, *given.get(name, ()), priority=place % 10): name
        for place, name in enumerate(sent)
    }


async def _answers(held: Truth, hostname: str, within: float) -> None:
    """Wait until a worker has told its rhythm, and has answered questions.

    Until then Herald rightly says that it is not known what it consumes.
    """
    await held.beats(hostname, within)
    await wait_until_async(
        lambda: held.store.list_workers(now=time.time()),
        within,
        f"{hostname} has answered",
        accept=lambda workers: any(w.hostname == hostname and w.slots for w in workers),
    )


async def _ends(held: Truth, sent: dict[str, str], within: float) -> list[str]:
    """Wait until all has ended as it must; return what has not."""
    right = {id_: ENDS.get(name, "SUCCESS") for id_, name in sent.items()}
    given_up = time.monotonic() + within
    while (states := await held.states(right)) != right:
        if time.monotonic() > given_up:
            return [
                f"{sent[id_]} is {states.get(id_)}, not {right[id_]}"
                for id_ in right
                if states.get(id_) != right[id_]
            ]
        await asyncio.sleep(0.5)  # a thousand are read each time
    return []


def _differing(app: Celery, sent: dict[str, str], log: Path) -> list[str]:
    """Return what backend and the tasks' own log say otherwise than Herald does."""
    kept = [id_ for id_, name in sent.items() if name != "note"]
    with redis.Redis.from_url(str(cast(Any, app).conf.result_backend)) as client:
        keys = [f"celery-task-meta-{id_}" for id_ in kept]
        found = cast("list[bytes | None]", client.mget(keys))
    there = [json.loads(one)["status"] if one else None for one in found]
    noted = Counter(log.read_text().split())
    return [
        f"{sent[id_]} is {state} in the backend"
        for id_, state in zip(kept, there, strict=True)
        if state != ENDS.get(sent[id_], "SUCCESS")
    ] + [
        f"note ran {noted[id_]} times"
        for id_, name in sent.items()
        if name == "note" and noted[id_] != 1
    ]


async def _run(
    app: Celery, pool: str, name: str, number: int, blocks: int, place: Path
) -> Run:
    """Run `number` tasks on a worker, and return all that is wrong."""
    log, began = place / f"{app.conf.herald_names}.notes", time.monotonic()
    words = ("--heartbeat-interval", "1", *SETTINGS[name].words)
    worker = Worker(
        app,
        place / f"{pool}, {name}.log",
        pool=pool,
        concurrency=POOLS[pool],
        extra=words,
    )
    async with (
        _working(worker),
        truth(app, lost_after=LOST_AFTER, queues_every=1.0) as held,
    ):
        await _answers(held, worker.hostname, 30)
        async with _watched(held, worker.hostname) as watch:
            sent = await asyncio.to_thread(_send, app, number, blocks, log)
            wrong = await _ends(held, sent, 30 + blocks * BLOCKED_FOR + number / 5)
            await held.looks(2, 30)
            wrong += await asyncio.to_thread(_differing, app, sent, log)
        assert worker.alive
    wrong += watch.wrong
    return Run(pool, name, number, time.monotonic() - began, wrong)


async def _run_all(
    pairs: Sequence[tuple[str, str]],
    brokers: dict[str, str],
    make: AppFactory,
    *,
    number: int,
    blocks: int,
    place: Path,
) -> None:
    """Run all `pairs` of pool and setting side by side; fail if anything is wrong."""

    async def one(pool: str, name: str) -> Run:
        chosen = SETTINGS[name]
        app = make(
            brokers[chosen.broker], brokers["redis"], herald_shared=dict(chosen.shared)
        )
        return await _run(app, pool, name, number, blocks, place)

    runs = await asyncio.gather(*[one(pool, name) for pool, name in pairs])
    for run in runs:
        print(f"{run.pool:9}{run.setting:18}{run.tasks:6}{run.seconds:7.1f} s", end=" ")
        print(len(run.wrong), "wrong")
    wrong = [(run.pool, run.setting, what) for run in runs for what in run.wrong]
    assert not wrong, f"{len(wrong)} wrong: {wrong[:10]}"


async def test_no_pool_is_told_wrongly(
    valkey: PrivateValkey, amqp_url: str, project_app: AppFactory, tmp_path: Path
) -> None:
    brokers = {"redis": valkey.url, "amqp": amqp_url}
    await _run_all(MIXED, brokers, project_app, number=60, blocks=1, place=tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("setting", SETTINGS)
async def test_a_thousand_tasks_on_each_pool_are_told_rightly(
    valkey: PrivateValkey,
    amqp_url: str,
    project_app: AppFactory,
    tmp_path: Path,
    setting: str,
) -> None:
    brokers = {"redis": valkey.url, "amqp": amqp_url}
    pools = ["prefork"] if "autoscale" in setting else list(POOLS)
    pairs = [(pool, setting) for pool in pools]
    await _run_all(pairs, brokers, project_app, number=1_000, blocks=2, place=tmp_path)
