"""When a monitor has others help it to store, and when not."""

import asyncio
from collections.abc import Sequence

import pytest

from herald_monitor.errors import StoreUnreachable
from herald_monitor.interpreting import Interpreter
from herald_monitor.memory import MemoryStore
from herald_monitor.model.cursor import START
from herald_monitor.model.events import Event
from herald_monitor.overflow import AGAIN_AFTER, IN_A_ROW, QUIET, QUIET_FOR, Overflow
from herald_monitor.store import Receipt
from herald_monitor.unread import Told
from tests.serving import until

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

    async def store(self, events: Sequence[Told], *, now: float) -> Receipt:
        if self.fails == "store":
            raise StoreUnreachable("gone")
        self.events += len(events)
        return await self.store_.store(Interpreter(str).opened(events), now=now)

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
        self.reader = Interpreter(str)
        self.overflow = Overflow(
            self.own, lambda: self.helpers, self.reader.opened, self.clock, full=FULL
        )
        self._numbers = 0

    async def heard(self, events: int) -> Receipt:
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
        for _ in range(IN_A_ROW):
            await self.heard(FULL)
        await until(lambda: self.helpers.started, 5, "help was called")
        await asyncio.sleep(0)

    async def stored(self) -> int:
        """Return how many tasks are stored here."""
        return sum((await self.own.counts()).values())


async def test_what_one_process_can_store_it_stores_alone() -> None:
    house = House()
    for _ in range(5 * IN_A_ROW):
        await house.heard(FULL - 1)
    assert not house.helpers.started


async def test_a_burst_is_stored_alone() -> None:
    house = House()
    for events in (*[FULL] * (IN_A_ROW - 1), 1, *[FULL] * (IN_A_ROW - 1)):
        await house.heard(events)
    assert not house.helpers.started


async def test_full_batches_in_a_row_are_stored_by_others() -> None:
    house = House()
    await house.flooded()
    receipt = await house.heard(500)
    assert (house.helpers.events, receipt.changes) == (500, 500)
    assert await house.stored() == IN_A_ROW * FULL
    await house.overflow.close()


async def test_help_goes_home_when_little_comes() -> None:
    house = House()
    await house.flooded()
    await house.heard(100)
    house.clock.at += QUIET_FOR + 1
    await house.heard(100)
    assert not house.overflow.helpers
    await until(lambda: house.helpers.stopped, 5, "it is ended")
    assert house.helpers.events == 100
    assert await house.stored() == IN_A_ROW * FULL + 100


async def counted(events: Sequence[Told], *, now: float) -> Receipt:
    """Store nothing."""
    return Receipt(START, len(events))


async def test_help_stays_while_many_come() -> None:
    house = House()
    await house.flooded()
    house.helpers.store = counted  # type: ignore[method-assign]
    for _ in range(5):
        house.clock.at += QUIET_FOR
        await house.heard(int(QUIET * QUIET_FOR) + 1)
    assert house.overflow.helpers == 3
    await house.overflow.close()
    assert house.helpers.stopped == 1


async def test_when_help_fails_the_same_is_stored_here() -> None:
    house = House("store")
    await house.flooded()
    with pytest.raises(StoreUnreachable):
        await house.heard(7)
    await house.heard(7)  # as whoever stores does after such an error
    assert await house.stored() == IN_A_ROW * FULL + 7
    await until(lambda: house.helpers.stopped, 5, "it is ended")


async def test_help_that_cannot_come_is_called_again_later() -> None:
    house = House("start")
    await house.flooded()
    await house.flooded()
    assert (house.helpers.started, house.overflow.helpers) == (1, 0)
    house.clock.at += AGAIN_AFTER
    await house.flooded()
    assert house.helpers.started == 2
    assert await house.stored() == 3 * IN_A_ROW * FULL


async def test_without_a_pool_all_is_stored_here() -> None:
    overflow = Overflow(MemoryStore(), None, Interpreter(str).opened, full=FULL)
    house = House()
    house.overflow = overflow
    for _ in range(2 * IN_A_ROW):
        await house.heard(FULL)
    assert not overflow.helpers
