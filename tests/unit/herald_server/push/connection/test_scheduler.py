"""Whose turn it is: at once after quiet, gathered under load, and never forgotten."""

import asyncio
import time

import pytest

from herald_server.push.connection.flush_rate import BUSY_SHARE, FlushRate
from herald_server.push.connection.scheduler import MAX_FLUSHES, FlushScheduler
from herald_server.wiring.web_server.websocket import SingleConsumerQueue, SmallEvent
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


class Told:
    """One connection: the turns that it got."""

    def __init__(self, rounds: FlushScheduler) -> None:
        self._rounds = rounds
        self.turns: list[bool] = []
        self.glances = 0

    def flush(self, now: float, data: bool) -> None:
        self.turns.append(data)

    def check_deadlines(self, now: float) -> None:
        self.glances += 1


async def test_after_quiet_a_change_is_told_at_once() -> None:
    rounds = FlushScheduler()
    one = Told(rounds)
    rounds.schedule(one)
    await asyncio.sleep(0)
    assert one.turns == [True]


async def test_above_the_rate_changes_wait_for_the_tick_and_answers_do_not() -> None:
    rounds = FlushScheduler(FlushRate(ticks=(0.05, 0.05), rate=0.0, burst=1))
    first, second = Told(rounds), Told(rounds)
    begun = time.monotonic()
    rounds.schedule(first)
    rounds.schedule(second)
    await asyncio.sleep(0)
    assert (first.turns, second.turns) == ([True], [False])
    await wait_until_async(lambda: len(second.turns) == 2)
    assert second.turns == [False, True]
    assert time.monotonic() - begun >= 0.05


async def test_changes_join_those_that_wait_for_the_tick() -> None:
    rounds = FlushScheduler(FlushRate(ticks=(0.05, 0.05), rate=0.0, burst=0))
    first, second, third = Told(rounds), Told(rounds), Told(rounds)
    rounds.schedule_changes(first)
    await asyncio.sleep(0)
    rounds.schedule_changes(second)
    rounds.schedule(third)
    await asyncio.sleep(0)
    assert (second.turns, third.turns) == ([], [False]), "answers do not wait"
    await wait_until_async(lambda: len(third.turns) == 2)
    assert (first.turns, second.turns) == ([False, True], [True])


def test_the_tick_is_as_long_as_telling_takes() -> None:
    """So that no more than a share of the time goes into it, within bounds."""
    pace = FlushRate(ticks=(0.005, 0.05))
    ticks = [pace.tick]
    for took in (0.0001, 0.02 * BUSY_SHARE, 0.2, 0.0001):
        pace.record_round(took)
        ticks.append(pace.tick)
    assert ticks == pytest.approx([0.005, 0.005, 0.02, 0.05, 0.005])


async def test_few_who_are_told_much_wait_for_little() -> None:
    rounds = FlushScheduler(FlushRate(rate=0.0, burst=0))
    one = Told(rounds)
    for number in range(4):
        rounds.schedule(one)
        await wait_until_async(lambda n=number: one.turns.count(True) > n)  # type: ignore[misc]
    assert rounds.rate.tick < 0.05


async def test_many_turns_let_others_in_between() -> None:
    rounds = FlushScheduler(FlushRate(rate=1e9, burst=1e9))
    many = [Told(rounds) for _ in range(3 * MAX_FLUSHES)]
    for one in many:
        rounds.schedule(one)
    told: list[int] = []
    for _ in range(3):
        await asyncio.sleep(0)
        told.append(sum(len(one.turns) for one in many))
    assert told == [MAX_FLUSHES, 2 * MAX_FLUSHES, 3 * MAX_FLUSHES]


async def test_the_clock_is_looked_at_for_who_is_there() -> None:
    rounds = FlushScheduler()
    one, other = Told(rounds), Told(rounds)
    rounds.add(one, 0.01)
    rounds.add(other, 0.01)
    rounds.remove(other)
    await wait_until_async(lambda: one.glances > 1)
    rounds.remove(one)
    seen = one.glances
    rounds.add(one, 0.01)
    await wait_until_async(lambda: one.glances > seen)
    rounds.remove(one)
    assert other.glances == 0


async def test_what_arrives_is_taken_in_order_by_who_waits() -> None:
    inbox = SingleConsumerQueue(asyncio.get_running_loop())
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait(1)
    inbox.put_nowait(2)
    assert (await taking, await inbox.get(), inbox.empty()) == (1, 2, True)
    given_up = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    inbox.put_nowait(3)
    assert await inbox.get() == 3


async def test_an_event_wakes_all_that_wait_for_it() -> None:
    event = SmallEvent(asyncio.get_running_loop())
    waits = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waits[0].cancel()
    event.set()
    await asyncio.gather(*waits[1:])
    assert event.is_set()
    await event.wait()
    event.clear()
    last = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    assert not event.is_set()
    assert not last.done()
    event.set()
    await last
