"""A task that is cancelled while the store answers ends, at whatever point."""

import asyncio

import pytest

from herald_core.store.redis.store import RedisStore
from herald_monitor.celery_client.backend.connection import get_result_backend
from herald_monitor.celery_client.backend.redis_reader import RedisResultReader
from tests.support.celery.project import make_app
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio


async def _ends(asked: asyncio.Task[None], steps: int) -> None:
    """Cancel it after so many turns of the loop, and see that it ends."""
    for _ in range(steps):
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asked, 30)


async def test_no_cancellation_is_swallowed(valkey: PrivateValkey) -> None:
    store = RedisStore(valkey.url)
    await store.open()
    try:
        for steps in range(60):
            await _ends(asyncio.create_task(_ask(store)), steps)
        assert (await store.get_task("nobody")).state == "UNKNOWN"
    finally:
        await store.close()


async def _ask(store: RedisStore) -> None:
    while True:
        await store.get_task("nobody")


async def test_nor_while_the_result_backend_answers(valkey: PrivateValkey) -> None:
    results = RedisResultReader(
        get_result_backend(make_app(valkey.url, valkey.url)), lambda _: None
    )
    try:
        for steps in range(80):
            await _ends(asyncio.create_task(_look(results)), steps)
            await results.close()
    finally:
        await results.close()


async def _look(results: RedisResultReader) -> None:
    """Look again and again, as one who listens does."""
    while True:
        await results.find_known(["nobody"])
