"""Who waits for a position of the log is answered as soon as the reader is there."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

import pytest

from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader

pytestmark = pytest.mark.anyio

EARLIER = Cursor(1_700_000_000_000, 5)
"""A cursor of a history before that of any store of the test."""

LONG_S = 30.0


async def store_task(store: MemoryStore, id_: str) -> None:
    now = time.time()
    await store.store([Event(kind="received", task_id=id_, at=now, clock=1)], now=now)


@contextlib.asynccontextmanager
async def reading() -> AsyncGenerator[tuple[MemoryStore, LogReader]]:
    """Read the log of an empty store for the length of the block."""
    store = MemoryStore()
    await store.open()
    reader = LogReader(store, Hub())
    await reader.start()
    running = asyncio.create_task(reader.run())
    try:
        yield store, reader
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def test_the_first_entry_ends_the_wait_for_an_earlier_history() -> None:
    """A client with an old cursor connects before anything was read."""
    async with reading() as (store, reader):
        waiting = asyncio.create_task(reader.wait_for(EARLIER, LONG_S))
        await asyncio.sleep(0)
        await store_task(store, "a")
        assert await waiting


async def test_a_later_entry_ends_the_wait_for_it() -> None:
    async with reading() as (store, reader):
        await store_task(store, "a")
        assert await reader.wait_for(await store.read_end(), LONG_S)
        end = await store.read_end()
        waiting = asyncio.create_task(
            reader.wait_for(Cursor(end.epoch, end.n + 1), LONG_S)
        )
        await asyncio.sleep(0)
        await store_task(store, "b")
        assert await waiting


async def test_a_position_that_never_comes_is_waited_for_in_vain() -> None:
    async with reading() as (store, reader):
        await store_task(store, "a")
        end = await store.read_end()
        assert not await reader.wait_for(Cursor(end.epoch + 1, 0), 0.05)
