"""Batches on their way into the store: two at a time under load, and none forgotten."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from herald_core.store.memory.store import MemoryStore
from herald_core.store.types import WriteResult
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.recorder import MAX_BATCH_EVENTS, MAX_IN_FLIGHT, Recorder
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


class Slow(MemoryStore):
    """A store whose batches are stored when they are let, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[asyncio.Event] = []
        self.stored = 0

    async def store(
        self, events: Sequence[Any], workers: Sequence[Any] = (), *, now: float
    ) -> WriteResult:
        let = asyncio.Event()
        self.begun.append(let)
        await let.wait()
        receipt = await super().store(events[:1], workers, now=now)
        self.stored += 1
        return receipt


class House:
    """A recorder over a slow store."""

    def __init__(self) -> None:
        self.store, self.intake = Slow(), EventBuffer()
        self.recorder = Recorder(self.intake, self.store, str, "n")
        self._told = 0

    def hear(self, events: int) -> Ack:
        """Take in a message of so many events."""
        ticket = Ack()
        self._told += 1
        event: dict[str, object] = {"type": "task-sent", "uuid": f"t{self._told}"}
        self.intake.put_threadsafe([event] * events, 1.0, ticket)
        return ticket

    async def begun(self, number: int) -> None:
        """Wait until the store was given so many batches."""
        await wait_until_async(
            lambda: len(self.store.begun) >= number, 30, f"{number} begun"
        )


@asynccontextmanager
async def recording(house: House) -> AsyncGenerator[None]:
    """Record for the length of the block."""
    house.intake.attach(asyncio.get_running_loop())
    running = asyncio.create_task(house.recorder.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_while_one_is_stored_more_gathers_for_the_next() -> None:
    """So that few events do not make many batches."""
    house = House()
    async with recording(house):
        house.hear(1)
        await house.begun(1)
        for _ in range(20):
            house.hear(1)
            await asyncio.sleep(0)
        assert len(house.store.begun) == 1
        house.store.begun[0].set()
        await house.begun(2)
        assert not house.intake.waiting


async def test_a_full_batch_does_not_wait_for_the_one_before() -> None:
    house = House()
    async with recording(house):
        for _ in range(MAX_IN_FLIGHT + 2):
            house.hear(MAX_BATCH_EVENTS)
        await house.begun(MAX_IN_FLIGHT)
        await asyncio.sleep(0)
        assert house.intake.waiting == 2 * MAX_BATCH_EVENTS


async def test_each_is_confirmed_once_it_is_stored_itself() -> None:
    """Behind the one before: what is noted of a store is noted in order."""
    house = House()
    async with recording(house):
        first, second = house.hear(MAX_BATCH_EVENTS), house.hear(MAX_BATCH_EVENTS)
        await house.begun(2)
        house.store.begun[1].set()
        await wait_until_async(lambda: house.store.stored, 30, "the second is stored")
        assert not second.confirmed
        house.store.begun[0].set()
        await wait_until_async(
            lambda: first.confirmed and second.confirmed, 30, "both are"
        )
        await wait_until_async(
            lambda: house.recorder.parser.counters.batches == 2, 30, "and counted"
        )


async def test_what_was_begun_is_finished_after_the_end() -> None:
    house = House()
    async with recording(house):
        tickets = [house.hear(MAX_BATCH_EVENTS) for _ in range(3)]
        await house.begun(2)
    draining = asyncio.create_task(house.recorder.drain())
    for number in range(3):
        await house.begun(number + 1)
        house.store.begun[number].set()
    await draining
    assert all(ticket.confirmed for ticket in tickets)
    assert house.recorder.parser.counters.events == 3 * MAX_BATCH_EVENTS
    assert (await house.store.count_by_state()) == {"PENDING": 3}
