"""Many watchers of one process, all of which check all that they hear.

`python -m tests.bench --only push` has thousands of them, and measures.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from random import Random

import pytest
from tests.bench.traffic import SPREAD
from tests.bench.watchers import Crowd
from tests.servers import PrivateValkey
from tests.serving import Server, serving

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
def crowd_at(server: Server) -> Generator[Crowd]:
    crowd = Crowd(server.ws, server.store)
    try:
        yield crowd
    finally:
        crowd.leave()


@pytest.mark.parametrize("number", MANY)
async def test_each_is_told_all_that_it_asks_for_and_no_more(
    module_valkey: PrivateValkey, number: int
) -> None:
    async with serving(module_valkey.url) as server:
        await server.beat()
        with crowd_at(server) as crowd:
            async with changing(server):
                await crowd.join(number, "one percent", 1)
                while crowd.heard.changes < 3 * number:
                    await asyncio.sleep(0.01)
            await crowd.agree()
            assert crowd.heard.complaints == []
            assert crowd.heard.resets == {"new": number}


@pytest.mark.parametrize("number", MANY)
async def test_all_come_back_at_once_and_nothing_is_missed_or_told_twice(
    module_valkey: PrivateValkey, number: int
) -> None:
    async with serving(module_valkey.url) as server:
        await server.beat()
        with crowd_at(server) as crowd:
            async with changing(server):
                await crowd.join(number, "one percent", 1)
                await crowd.come_back()
                await crowd.come_back()
            await crowd.agree()
            assert crowd.heard.complaints == []
            assert crowd.heard.resets == {"new": number}
