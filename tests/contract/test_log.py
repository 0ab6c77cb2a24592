"""The log: dense, in order, and waited for without polling."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from herald_core.model.cursor import START, Cursor
from herald_core.model.events.event import Event
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import NOW, Lab, all_changes, event
from tests.support.store.records import MONITOR, life, merged, stored

pytestmark = pytest.mark.anyio


async def test_an_empty_log_ends_at_the_start(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.read_end() == START
        assert await store.read_entries(START) == []


async def test_numbers_follow_each_other(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        for n in range(6):
            await (other if n % 2 else one).store([event("received", f"t{n}")], now=NOW)
        entries = await one.read_entries(START)
        assert [entry.cursor.n for entry in entries] == [0, 1, 2, 3, 4, 5]
        assert entries[-1].cursor == await one.read_end()


async def test_reading_goes_on_behind_a_cursor(lab: Lab) -> None:
    async with lab.open() as store:
        for one in life("a"):
            await store.store([one], now=NOW)
        first, *rest = await store.read_entries(START, limit=4)
        assert await store.read_entries(first.cursor, limit=2) == rest[:2]
        assert await store.read_entries(rest[-1].cursor) == []


async def test_waiting_ends_with_the_first_change(lab: Lab) -> None:
    async with lab.open() as store, lab.open() as other:
        waiting = asyncio.create_task(store.read_entries(START, wait=10))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        await other.store(life("a"), now=NOW)
        [entry] = await waiting
        assert time.monotonic() - began < 5
        assert [change.id for change in entry.changes] == ["a"]


async def test_waiting_in_vain_ends_by_itself(lab: Lab) -> None:
    async with lab.open() as store:
        began = time.monotonic()
        assert await store.read_entries(START, wait=0.1) == []
        assert 0.08 < time.monotonic() - began < 10


async def test_waiting_may_last_longer_than_an_answer(redis_lab: Lab) -> None:
    async with redis_lab.open(patience=0.15) as store:
        assert await store.read_entries(START, wait=0.4) == []


async def test_a_cancelled_wait_harms_nobody(lab: Lab) -> None:
    async with lab.open() as store:
        for _ in range(5):
            waiting = asyncio.create_task(store.read_entries(START, wait=10))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await store.store(life("a"), now=NOW)
        assert len(await store.read_entries(START, wait=10)) == 1
        # No answer to a question of before may be left over.
        for _ in range(6):
            assert await store.read_entries(await store.read_end(), wait=0.01) == []


async def test_a_cancelled_question_is_not_answered_to_the_next(
    valkey: PrivateValkey, proxy: Callable[[str], Proxy]
) -> None:
    """The answer is still on its way when the next question is put."""
    between = proxy(valkey.url)
    async with Lab(between.url).open() as store:
        await store.store([*life("a"), *life("b")], now=NOW)
        between.delay(0.02)
        for pause in (0.0, 0.005, 0.01, 0.03):
            asked = asyncio.create_task(store.get_task("a"))
            await asyncio.sleep(pause)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert (await store.get_task("b")).id == "b"
        between.heal()


async def test_two_may_wait_at_once(lab: Lab) -> None:
    async with lab.open() as store:
        both = [
            asyncio.create_task(store.read_entries(START, wait=10)) for _ in range(2)
        ]
        await asyncio.sleep(0.02)
        await store.store(life("a"), now=NOW)
        one, other = await asyncio.gather(*both)
        assert one == other != []


async def test_a_beat_moves_a_quiet_log(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        first = await store.record_heartbeat(MONITOR, now=NOW)
        second = await store.record_heartbeat(MONITOR, now=NOW + 1)
        assert second.cursor.is_next_after(first.cursor)
        assert [entry.changes for entry in await store.read_entries(START)] == [(), ()]


async def test_a_beat_adds_nothing_to_a_log_that_moved(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        await store.record_heartbeat(MONITOR, now=NOW)
        receipt = await store.store(life("a"), now=NOW)
        beat = await store.record_heartbeat(MONITOR, now=NOW + 1)
        assert beat.cursor == receipt.cursor
        assert (
            await store.record_heartbeat(MONITOR, now=NOW + 2)
        ).cursor.is_next_after(beat.cursor)


async def test_a_monitor_that_beats_is_listed(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.list_monitors() == []
        await store.record_heartbeat(MONITOR, now=NOW)
        assert await store.list_monitors() == [MONITOR]


async def test_a_trimmed_log_shows_that_something_is_missing(lab: Lab) -> None:
    async with lab.open(log_length=10) as store:
        first = (await store.record_heartbeat(MONITOR, now=NOW)).cursor
        for n in range(250):
            await store.record_heartbeat(MONITOR, now=NOW + n)
        entries = await store.read_entries(first, limit=1000)
        assert len(entries) < 250
        assert not entries[0].cursor.is_next_after(first)
        assert entries[-1].cursor == await store.read_end()


async def test_a_log_of_large_entries_is_bounded_by_their_bytes(redis_lab: Lab) -> None:
    async with redis_lab.open(log_bytes=1_000_000) as store:
        for n in range(300):
            events = [
                event("failed", f"t{m}", n, exception="x" * n * 20) for m in (1, 2)
            ]
            await store.store(events, now=NOW)
        with redis_lab.client() as client:
            used = client.memory_usage(f"{redis_lab.prefix}:log", samples=0)
        assert isinstance(used, int)
        assert used < 2_000_000
        entries = await store.read_entries(START, limit=1000)
        assert len(entries) > 20
        assert entries[-1].cursor == await store.read_end()
        assert [change async for change in all_changes(store, entries[0].cursor)]


async def test_large_entries_are_read_a_few_at_a_time(
    redis_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_core.store.redis.change_log.READ_BYTES", 100_000)
    async with redis_lab.open() as store:
        for n in range(60):
            one = event("failed", f"t{n}", n, exception="x" * (8_000 if n > 19 else 9))
            await store.store([one], now=NOW)
        at, parts = START, list[int]()
        while entries := await store.read_entries(at, limit=50):
            assert all(b.cursor.is_next_after(a.cursor) for a, b in pairwise(entries))
            at = entries[-1].cursor
            parts.append(len(entries))
        assert sum(parts) == 60
        assert parts[0] >= 20, "small ones are read all at once"
        assert all(part <= 16 for part in parts[1:])
        assert len(await store.read_entries(START, limit=3)) == 3


async def test_a_cursor_of_the_future_reads_nothing(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        receipt = await store.store(life("a"), now=NOW)
        ahead = Cursor(receipt.cursor.epoch, receipt.cursor.n + 5)
        assert await store.read_entries(ahead) == []


async def test_the_identity_stays(lone_lab: Lab) -> None:
    async with lone_lab.open() as one, lone_lab.open() as other:
        await one.store(life("a"), now=NOW)
        assert len(await one.read_history_id()) == 40
        assert await one.read_history_id() == await other.read_history_id()


def unheard(clock: int) -> Event:
    """Return a word that is kept of `life("a")`, and alters nothing that is shown."""
    return event("sent", "a", clock, at=NOW + 1.5, host="elsewhere", name="x.add")


async def test_what_shows_nothing_new_is_stored_without_news(lab: Lab) -> None:
    async with lab.open() as store, lab.open() as other:
        first = await store.store(life("a"), now=NOW)
        shown = await store.get_task("a")
        for clock in (5, 6):
            quiet = await other.store([unheard(clock)], now=NOW)
            assert (quiet.cursor, quiet.changes) == (first.cursor, 0)
        assert await store.get_task("a") == shown
        # It is stored all the same: who is behind is refused, and merges again.
        receipt = await store.store([event("received", "a", 9, retries=1)], now=NOW)
        assert (receipt.changes, receipt.cursor.n) == (1, first.cursor.n + 1)
        events = [*life("a"), unheard(5), unheard(6)]
        events.append(event("received", "a", 9, retries=1))
        assert await stored(store, ["a"]) == merged(events)
        assert (await store.store(events, now=NOW)).changes == 0


async def test_quiet_and_told_changes_of_a_batch_keep_their_revs(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        await store.store(life("a"), now=NOW)
        before = (await store.get_task("a")).rev
        batch = [*life("b"), unheard(5), *life("c")]
        receipt = await store.store(batch, now=NOW)
        assert receipt.changes == 2
        revs = [(await store.get_task(id_)).rev for id_ in "abc"]
        assert revs == [before, f"{receipt.cursor}.0", f"{receipt.cursor}.1"]
        assert [c.id async for c in all_changes(store)] == ["a", "b", "c"]


async def test_a_quiet_write_alone_lets_a_beat_move_the_log(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        await store.store(life("a"), now=NOW)
        beat = await store.record_heartbeat(MONITOR, now=NOW)
        await store.store([unheard(5)], now=NOW)
        assert (await store.record_heartbeat(MONITOR, now=NOW)).cursor.is_next_after(
            beat.cursor
        )
