"""When a monitor has others help it to store, and when not."""

import asyncio
from collections.abc import Sequence

import pytest

from herald_core.errors import EventDecodeError, StoreUnreachable
from herald_core.model.cursor import START
from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_core.store.types import WriteResult
from herald_monitor.ingest.consumers.event_header import EventHeader, TaskEvent
from herald_monitor.ingest.parser import EventParser
from herald_monitor.ingest.writers.autoscaler import (
    FULL_BATCHES_TO_SCALE,
    QUIET_EVENTS_PER_S,
    QUIET_S,
    RETRY_AFTER_S,
    AutoscalingWriter,
)
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio
FULL = 10


class Helpers:
    """A pool that counts, over a store of its own."""

    def __init__(self, fails: str = "") -> None:
        self.store_ = MemoryStore()
        self.fails = fails
        self.started = self.stopped = self.events = 0

    @property
    def number(self) -> int:
        return 3

    async def start(self) -> None:
        self.started += 1
        if self.fails == "start":
            raise OSError("no process can be started")

    async def store(self, events: Sequence[TaskEvent], *, now: float) -> WriteResult:
        if self.fails == "store":
            raise StoreUnreachable("gone")
        self.events += len(events)
        return await self.store_.store(EventParser(str).decode_all(events), now=now)

    async def stop(self) -> None:
        self.stopped += 1


class Clock:
    """A clock that stands still."""

    at = 100.0

    def __call__(self) -> float:
        return self.at


class House:
    """An overflow with its store, its helpers and its clock."""

    def __init__(self, fails: str = "") -> None:
        self.own, self.helpers, self.clock = MemoryStore(), Helpers(fails), Clock()
        self.shared: list[bool] = []
        self.overflow = AutoscalingWriter(
            self.own,
            lambda: self.helpers,
            self.clock,
            full=FULL,
            shared=self.shared.append,
        )
        self._numbers = 0

    async def heard(self, events: int) -> WriteResult:
        """Store so many events of as many tasks."""
        self._numbers += events
        last = self._numbers
        batch = [
            Event(kind="sent", task_id=f"t{n}", at=1.0, clock=n)
            for n in range(last - events, last)
        ]
        return await self.overflow.store(batch, now=1.0)

    async def flooded(self) -> None:
        """Hear full batches until help has been called, and has come or failed."""
        for _ in range(FULL_BATCHES_TO_SCALE):
            await self.heard(FULL)
        await wait_until_async(lambda: self.helpers.started, 30, "help was called")
        await asyncio.sleep(0)

    async def stored(self) -> int:
        """Return how many tasks are stored here."""
        return sum((await self.own.count_by_state()).values())


async def test_what_one_process_can_store_it_stores_alone() -> None:
    house = House()
    for _ in range(5 * FULL_BATCHES_TO_SCALE):
        await house.heard(FULL - 1)
    assert not house.helpers.started


async def test_a_burst_is_stored_alone() -> None:
    house = House()
    for events in (
        *[FULL] * (FULL_BATCHES_TO_SCALE - 1),
        1,
        *[FULL] * (FULL_BATCHES_TO_SCALE - 1),
    ):
        await house.heard(events)
    assert not house.helpers.started


async def test_full_batches_in_a_row_are_stored_by_others() -> None:
    house = House()
    await house.flooded()
    receipt = await house.heard(500)
    assert (house.helpers.events, receipt.changes) == (500, 500)
    assert await house.stored() == FULL_BATCHES_TO_SCALE * FULL
    await house.overflow.close()


async def test_help_goes_home_when_little_comes() -> None:
    house = House()
    await house.flooded()
    await house.heard(100)
    house.clock.at += QUIET_S + 1
    await house.heard(100)
    assert not house.overflow.writer_count
    await wait_until_async(lambda: house.helpers.stopped, 30, "it is ended")
    assert house.helpers.events == 100
    assert await house.stored() == FULL_BATCHES_TO_SCALE * FULL + 100


async def counted(events: Sequence[TaskEvent], *, now: float) -> WriteResult:
    """Store nothing."""
    return WriteResult(START, len(events))


async def test_help_stays_while_many_come() -> None:
    house = House()
    await house.flooded()
    house.helpers.store = counted  # type: ignore[method-assign]
    for _ in range(5):
        house.clock.at += QUIET_S
        await house.heard(int(QUIET_EVENTS_PER_S * QUIET_S) + 1)
    assert house.overflow.writer_count == 3
    await house.overflow.close()
    assert house.helpers.stopped == 1


async def test_when_help_fails_the_same_is_stored_here() -> None:
    house = House("store")
    await house.flooded()
    with pytest.raises(StoreUnreachable):
        await house.heard(7)
    await house.heard(7)  # as whoever stores does after such an error
    assert await house.stored() == FULL_BATCHES_TO_SCALE * FULL + 7
    await wait_until_async(lambda: house.helpers.stopped, 30, "it is ended")


async def test_what_came_unread_is_refused_once_nobody_else_reads_it() -> None:
    house = House("store")
    await house.flooded()
    with pytest.raises(StoreUnreachable):
        await house.heard(7)
    assert house.shared == [True, False]
    with pytest.raises(EventDecodeError):
        await house.overflow.store(
            [EventHeader(kind="task-sent", task_id="t")], now=1.0
        )


async def test_help_that_cannot_come_is_called_again_later() -> None:
    house = House("start")
    await house.flooded()
    await house.flooded()
    assert (house.helpers.started, house.overflow.writer_count) == (1, 0)
    house.clock.at += RETRY_AFTER_S
    await house.flooded()
    assert house.helpers.started == 2
    assert await house.stored() == 3 * FULL_BATCHES_TO_SCALE * FULL


async def test_without_a_pool_all_is_stored_here() -> None:
    overflow = AutoscalingWriter(MemoryStore(), None, full=FULL)
    house = House()
    house.overflow = overflow
    for _ in range(2 * FULL_BATCHES_TO_SCALE):
        await house.heard(FULL)
    assert not overflow.writer_count
