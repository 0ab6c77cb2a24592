"""Many watchers of one process, all of which check all that they hear.

`python -m tests.bench --only push` has thousands of them, and measures.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from random import Random

import pytest

from tests.bench.traffic import SPREAD
from tests.bench.watchers import WatcherGroup
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

MANY = [100, pytest.param(1_000, marks=pytest.mark.soak)]


@asynccontextmanager
async def changing(server: Server) -> AsyncGenerator[None]:
    """Let tasks of all names, queues and workers go through, as fast as it goes."""
    random = Random(3)

    async def change() -> None:
        for step in range(1_000_000):
            ids = [f"t{random.randrange(400)}" for _ in range(5)]
            name = f"shop.{step % SPREAD}.work"
            host = f"celery@worker-{step // 3 % SPREAD}"
            kind = ("received", "started", "retried", "succeeded")[step % 4]
            queue = f"q{step // 7 % SPREAD}"
            await server.tell(kind, *ids, name=name, host=host, queue=queue)

    task = asyncio.create_task(change())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def crowd_at(server: Server) -> Generator[WatcherGroup]:
    group = WatcherGroup(server.ws, server.store)
    try:
        yield group
    finally:
        group.leave()


@pytest.mark.parametrize("number", MANY)
async def test_each_is_told_all_that_it_asks_for_and_no_more(
    module_valkey: PrivateValkey, number: int
) -> None:
    async with serving(module_valkey.url) as server:
        await server.beat()
        with crowd_at(server) as group:
            async with changing(server):
                await group.join(number, "one percent", 1)
                await wait_until_async(lambda: group.heard.changes >= 3 * number)
            await group.agree()
            assert group.heard.complaints == []
            assert group.heard.resets == {"new": number}


@pytest.mark.parametrize("number", MANY)
async def test_all_come_back_at_once_and_nothing_is_missed_or_told_twice(
    module_valkey: PrivateValkey, number: int
) -> None:
    async with serving(module_valkey.url) as server:
        await server.beat()
        with crowd_at(server) as group:
            async with changing(server):
                await group.join(number, "one percent", 1)
                await group.come_back()
                await group.come_back()
            await group.agree()
            assert group.heard.complaints == []
            assert group.heard.resets == {"new": number}
