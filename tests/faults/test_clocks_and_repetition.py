"""Workers whose clocks are wrong, and events that come twice, change nothing."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import from_rfc3339
from tests.support.celery.worker import AppFactory, Worker
from tests.support.herald.fault_environment import Room, fault_room
from tests.support.servers.redis import PrivateValkey, private_valkey

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

SKEWED = """
import time
true = time.time
time.time = lambda: true() + ({skew})
from celery.__main__ import main
main()
"""


class SkewedWorker(Worker):
    """A worker whose clock is `skew` seconds ahead."""

    def __init__(self, app: Celery, log: Path, skew: float, **options: Any) -> None:
        super().__init__(app, log, **options)
        before = [sys.executable, "-m", "celery"]
        assert self._words[:3] == before
        self._words[:3] = [sys.executable, "-c", SKEWED.format(skew=skew)]


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """The store."""
    with private_valkey() as server:
        yield server


async def test_one_worker_is_a_minute_ahead_and_one_a_minute_behind(
    valkey: PrivateValkey,
    keeper: PrivateValkey,
    project_app: AppFactory,
    tmp_path: Path,
) -> None:
    """Retries wander between them, so that runs of a task are told by both."""
    app = project_app(valkey.url, f"{valkey.url.rpartition('/')[0]}/1")
    workers = [
        SkewedWorker(app, tmp_path / f"{skew}.log", skew, pool="threads", concurrency=2)
        for skew in (60, -60)
    ]
    try:
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in workers))
        async with fault_room(app, keeper.url) as room:
            await room.traffic.more(80)
            await room.comes_true()
            assert room.held.count("lost") == 0
            await check_skewed(room, [one.hostname for one in workers])
    finally:
        for one in workers:
            one.stop()


async def check_skewed(room: Room, hostnames: list[str]) -> None:
    """Assert that both worked, that both are told to be wrong, and no run is odd."""
    page = await room.store.list_tasks(Filter(), limit=1000)
    assert {task.worker for task in page.tasks} == set(hostnames)
    assert not [task for task in page.tasks if task.conflict]
    retried = [task for task in page.tasks if task.name == "retry_surely"]
    assert {task.attempt for task in retried} == {3}
    now = max(from_rfc3339(task.updated_at) for task in page.tasks if task.updated_at)
    skews = {one.hostname: one.clock_skew_ms for one in await workers_of(room, now)}
    told = [skews[hostname] for hostname in hostnames]
    assert [abs(abs(skew or 0) - 60_000) < 2_000 for skew in told] == [True, True]
    assert (told[0] or 0) * (told[1] or 0) < 0


async def workers_of(room: Room, now: float) -> list[Any]:
    """Return the workers as they are shown."""
    return list(await room.store.list_workers(now=now))


class Repeater:
    """Passes all events of one exchange of a Redis broker on to another, twice."""

    def __init__(self, url: str, heard: str, said: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = cast(Any, self._client).pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe(f"/0.{heard}/*")
        self._from, self._to = f"/0.{heard}/", f"/0.{said}/"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repeater")
        self.repeated = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message is None:
                continue
            name = self._to + message["channel"].decode().removeprefix(self._from)
            for _ in range(2):
                self._client.publish(name, message["data"])
            self.repeated += 1

    def start(self) -> None:
        """Repeat from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Repeat no more."""
        self._stop.set()
        self._thread.join(30)
        self._pubsub.close()
        self._client.close()


@asynccontextmanager
async def repeating(app: Celery, heralds: Celery) -> AsyncGenerator[Repeater]:
    """Repeat what `app` tells to `heralds` for the length of the block."""
    theirs, ours = cast(Any, app).conf, cast(Any, heralds).conf
    repeater = Repeater(theirs.broker_url, theirs.event_exchange, ours.event_exchange)
    repeater.start()
    try:
        yield repeater
    finally:
        await asyncio.to_thread(repeater.stop)


async def test_every_event_comes_twice(
    module_app: Celery, keeper: PrivateValkey, project_app: AppFactory
) -> None:
    """No run is made up, nothing is told twice, and no gap is seen."""
    conf = cast(Any, module_app).conf
    heralds = project_app(
        conf.broker_url,
        conf.result_backend,
        names=conf.herald_names,
        event_exchange=f"twice-{conf.herald_names}",
    )
    async with (
        repeating(module_app, heralds) as repeater,
        fault_room(module_app, keeper.url, heralds) as room,
    ):
        await room.traffic.more(100)
        await room.comes_true()
        events = room.held.monitor.make_view().counters["task_events"]
        assert repeater.repeated > 300
        assert events > 1.9 * len(room.traffic.ids) * 4
        page = await room.store.list_tasks(Filter(), limit=1000)
        assert not [task for task in page.tasks if task.conflict]
        runs = {task.name: task.attempt for task in page.tasks}
        assert runs == {"add": 1, "sleepy": 1, "fail": 1, "retry_surely": 3}
        assert await room.store.list_gaps() == []
