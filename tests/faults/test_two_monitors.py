"""Two monitors of one broker close each other's gaps; no change is told twice."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from herald_core.model.changes import TASK
from herald_core.model.tasks.views import TaskView
from herald_core.store.redis.store import RedisStore
from tests.support.celery.messages import send
from tests.support.celery.project import BROKER, environment
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitor_process import (
    MonitorProcess,
    all_final,
    heard_by,
    image,
    open_store,
)
from tests.support.journal import place
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.celery, pytest.mark.anyio, pytest.mark.timeout(240)]

SOAK = pytest.param(600, marks=pytest.mark.soak)
Pair = tuple[MonitorProcess, MonitorProcess]


@pytest.fixture
def store_server() -> Iterator[PrivateValkey]:
    """A store apart from the broker, which is cut and slow in these tests."""
    with private_valkey() as server:
        yield server


class Watcher:
    """All changes of tasks, as every watcher is told them, in order."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.images: dict[str, list[TaskView]] = {}
        self.problems: list[str] = []

    async def watch(self) -> None:
        """Follow the log until cancelled."""
        after = await self._store.read_end()
        while True:
            for entry in await self._store.read_entries(after, wait=1.0):
                if entry.cursor.n != after.n + 1 and after.n:
                    self.problems.append(f"{after} and then {entry.cursor}")
                after = entry.cursor
                for change in entry.changes:
                    if change.kind == TASK and change.task is not None and change.json:
                        self.take(msgspec.structs.replace(change.task, rev=change.rev))

    def take(self, new: TaskView) -> None:
        """Look at one change."""
        told = self.images.setdefault(new.id, [])
        if told and place(told[-1].rev or "") >= place(new.rev or ""):
            self.problems.append(f"{new.id}: {told[-1].rev} and then {new.rev}")
        told.append(new)


def repeated(images: list[TaskView]) -> int:
    """Count the images that are told though they show nothing new."""
    return sum(same(a, b) for a, b in pairwise(images))


def same(a: TaskView, b: TaskView) -> bool:
    """Say whether two images differ in nothing but their place in the log."""
    return msgspec.structs.replace(a, rev=b.rev) == b


@asynccontextmanager
async def watching(store: RedisStore) -> AsyncGenerator[Watcher, None]:
    """Watch all changes for the length of the block."""
    watcher = Watcher(store)
    running = asyncio.create_task(watcher.watch())
    try:
        yield watcher
    finally:
        running.cancel()
        [ended] = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


def pair(
    app: Any, store_url: str, ways: tuple[Proxy, Proxy], place_: Path
) -> Iterator[MonitorProcess]:
    """Make a monitor behind each of two proxies."""
    for name, way in zip(("a", "b"), ways, strict=True):
        env = {**environment(app), BROKER: way.url}
        yield MonitorProcess(app, store_url, place_ / f"{name}.log", name, **env)


async def trickle(app: Any, number: int) -> list[str]:
    """Send tasks over a while; every tenth takes three attempts."""
    ids: list[str] = []
    for count in range(number):
        name, words = ("retry_twice", ()) if count % 10 == 0 else ("add", (1, count))
        ids.append(await asyncio.to_thread(send, app, name, *words))
        await asyncio.sleep(0.008)
    return ids


async def cut_in_turn(
    store: RedisStore, pairs: list[tuple[MonitorProcess, Proxy]], stop: asyncio.Event
) -> int:
    """Cut one monitor's broker, wait until it hears again, cut the other; count."""
    cuts = [0, 0]
    while not stop.is_set():
        number = cuts[0] + cuts[1]
        monitor, way = pairs[number % 2]
        cuts[number % 2] += 1
        way.cut()

        async def hears_again(
            node: str = monitor.node, times: int = cuts[number % 2]
        ) -> bool:
            now = await image(store, node)
            return bool(
                now and now.connected and now.counters.get("reconnects", 0) >= times
            )

        await wait_until_async(hears_again, 30, f"{monitor.node} hears again")
    return sum(cuts)


@pytest.mark.parametrize("number", [300, SOAK])
async def test_one_hears_what_the_other_misses(
    valkey: PrivateValkey,
    store_server: PrivateValkey,
    number: int,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    """One at a time is cut from the broker. No result backend mends anything here."""
    app = project_app(valkey.url)
    ways = (proxy(valkey.url), proxy(valkey.url))
    both = list(pair(app, store_server.url, ways, tmp_path))
    for monitor in both:
        monitor.start()
    celery_worker(app)
    try:
        async with open_store(store_server.url) as store, watching(store) as watcher:
            for monitor in both:
                await heard_by(store, monitor, 10)
            stop = asyncio.Event()
            cutting = asyncio.create_task(
                cut_in_turn(store, list(zip(both, ways, strict=True)), stop)
            )
            ids = await trickle(app, number)
            found = await all_final(store, ids, 30)
            stop.set()
            assert await cutting >= 3
            await told_to_the_end(watcher, found)
            check(found, watcher)
    finally:
        for monitor in both:
            monitor.stop()


async def test_monitor_killed_under_load_loses_nothing(
    valkey: PrivateValkey,
    store_server: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    app = project_app(valkey.url)
    ways = (proxy(valkey.url), proxy(valkey.url))
    both = list(pair(app, store_server.url, ways, tmp_path))
    for monitor in both:
        monitor.start()
    celery_worker(app)
    try:
        async with open_store(store_server.url) as store, watching(store) as watcher:
            for monitor in both:
                await heard_by(store, monitor, 10)
            ids = await trickle(app, 60)
            both[0].kill()
            ids += await trickle(app, 60)
            both[0].start()
            await heard_by(store, both[0], 10)
            ids += await trickle(app, 30)
            both[1].kill()
            ids += await trickle(app, 30)
            found = await all_final(store, ids, 30)
            await told_to_the_end(watcher, found)
            check(found, watcher)
    finally:
        for monitor in both:
            monitor.stop()


def check(found: list[TaskView], watcher: Watcher) -> None:
    """Assert that every task is right, and that every change was one."""
    assert {task.state for task in found} == {"SUCCESS"}
    wrong = [
        task
        for task in found
        if task.conflict or task.attempt != (3 if task.name == "retry_twice" else 1)
    ]
    assert not wrong
    assert not [task for task in found if not (task.started_at and task.finished_at)]
    assert not watcher.problems, watcher.problems[:5]
    for task in found:
        # One monitor alone tells `sent` of a retry that was received already.
        assert repeated(watcher.images[task.id]) <= (task.attempt or 1) - 1


async def told_to_the_end(watcher: Watcher, found: list[TaskView]) -> None:
    """Wait until the watcher was told each task as it is in the store."""
    wanted = {task.id: task.rev for task in found}

    async def told() -> bool:
        last = {id_: images[-1].rev for id_, images in watcher.images.items()}
        return all(last.get(id_) == rev for id_, rev in wanted.items())

    await wait_until_async(told, 30, "the watcher knows it all")
    assert not watcher.problems, watcher.problems[:5]
