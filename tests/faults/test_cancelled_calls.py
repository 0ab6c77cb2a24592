"""A task that is cancelled while the store answers ends, at whatever point."""

import asyncio

import pytest
from tests.servers import PrivateValkey

from herald_monitor.redis_store import RedisStore

pytestmark = pytest.mark.anyio


async def test_no_cancellation_is_swallowed(valkey: PrivateValkey) -> None:
    store = RedisStore(valkey.url)
    await store.open()
    try:
        for steps in range(60):
            asked = asyncio.create_task(_ask(store))
            for _ in range(steps):
                await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(asked, 5)
        assert (await store.task("nobody")).state == "UNKNOWN"
    finally:
        await store.close()


async def _ask(store: RedisStore) -> None:
    while True:
        await store.task("nobody")
