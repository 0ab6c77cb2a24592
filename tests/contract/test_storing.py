"""What a write promises: one step, once, and never undone."""

import asyncio
from random import Random

import msgspec
import pytest

from herald_core.model.cursor import START
from herald_core.model.events.event import Progress
from herald_core.model.filters import Filter, PreviousValues
from herald_core.store.ports import Store
from tests.support.store.labs import NOW, Lab, all_changes, event, walk
from tests.support.store.records import life, merged, stored

pytestmark = pytest.mark.anyio


async def test_a_stored_task_is_what_its_events_come_to(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a"), now=NOW)
        assert await stored(store, ["a"]) == merged(life("a"))


async def test_a_batch_changes_a_task_once(lab: Lab) -> None:
    async with lab.open() as store:
        receipt = await store.store(life("a") + life("b"), now=NOW)
        assert receipt.changes == 2
        assert [c.id async for c in all_changes(store)] == ["a", "b"]


async def test_the_receipt_is_the_end_of_the_log(lab: Lab) -> None:
    async with lab.open() as store:
        for one in life("a"):
            receipt = await store.store([one], now=NOW)
            assert receipt.cursor == await store.read_end()


async def test_a_task_carries_the_rev_of_the_change_that_made_it(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        receipt = await store.store(life("a") + life("b"), now=NOW)
        assert (await store.get_task("b")).rev == f"{receipt.cursor}.1"


async def test_the_same_batch_again_changes_nothing(lab: Lab) -> None:
    async with lab.open() as store:
        first = await store.store(life("a"), now=NOW)
        assert await store.store(life("a"), now=NOW) == msgspec.structs.replace(
            first, changes=0
        )
        assert len(await store.read_entries(START)) == 1


async def test_a_second_monitor_stores_nothing_again(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        await one.store(life("a"), now=NOW)
        assert (await other.store(life("a"), now=NOW)).changes == 0


async def test_nothing_at_all_changes_nothing(lab: Lab) -> None:
    async with lab.open() as store:
        receipt = await store.store([], now=NOW)
        assert (receipt.cursor, receipt.changes) == (START, 0)


async def test_a_writer_that_is_behind_does_not_undo_the_other(lab: Lab) -> None:
    sent, received, started, succeeded = life("a")
    async with lab.open() as one, lab.open() as other:
        await one.store([sent], now=NOW)
        await other.store([received], now=NOW)
        await one.store([started], now=NOW)
        await other.store([succeeded], now=NOW)
        assert await stored(one, ["a"]) == merged(life("a"))
        assert len(await one.read_entries(START)) == 4


async def test_writers_at_once_come_to_what_all_events_come_to(lab: Lab) -> None:
    ids = [f"t{n}" for n in range(40)]
    events = [one for id_ in ids for one in life(id_)]
    async with lab.open() as one, lab.open() as other:

        async def write(store: Store, seed: int) -> None:
            mine = Random(seed).sample(events, len(events))
            for at in range(0, len(mine), 16):
                await store.store(mine[at : at + 16], now=NOW + at)

        await asyncio.gather(*(write(s, n) for n, s in enumerate([one, other, one])))
        assert await stored(one, ids) == merged(events)
        assert await one.count_by_state() == {"SUCCESS": 40}


async def test_a_large_batch_is_stored_whole(lab: Lab) -> None:
    events = [one for n in range(600) for one in life(f"t{n}")]
    async with lab.open() as store:
        assert (await store.store(events, now=NOW)).changes == 600
        assert await store.count_by_state() == {"SUCCESS": 600}
        assert len(await walk(store, Filter())) == 600


async def test_a_change_tells_what_was_before(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a")[:2], now=NOW)
        await store.store(life("a")[2:3], now=NOW)
        first, second = [change async for change in all_changes(store)]
        assert first.before is None
        assert second.before == PreviousValues("RECEIVED", "w1@h", "q")


async def test_a_late_event_that_shows_nothing_is_kept_all_the_same(lab: Lab) -> None:
    """Its record differs although its image may not, and the next rev counts."""
    async with lab.open() as store:
        await store.store(life("a")[1:], now=NOW)
        await store.store(life("a")[:1], now=NOW)
        assert await stored(store, ["a"]) == merged(life("a"))


async def test_progress_is_a_change(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a")[:3], now=NOW)
        for percent in (10.0, 20.0):
            step = event("progress", "a", int(percent), progress=Progress(percent))
            assert (await store.store([step], now=NOW)).changes == 1
        assert (await store.get_task("a")).progress == Progress(20.0)


@pytest.mark.parametrize(
    "task_id", ["a:b c", "{x}", "line\nfeed\x00nul", "é漢🎉", "*", "-", "x" * 255]
)
async def test_any_text_is_an_id(lab: Lab, task_id: str) -> None:
    async with lab.open() as store:
        await store.store(life(task_id), now=NOW)
        assert await stored(store, [task_id]) == merged(life(task_id))
        assert [task.id for task in await walk(store, Filter())] == [task_id]


async def test_texts_of_the_greatest_size_fit(lab: Lab) -> None:
    """Random text does not compress, so that a batch of it is 10 MB."""
    noise = Random(7)

    def text(size: int) -> str:
        return "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(size))

    events = [
        event("failed", f"t{n}", exception=text(8_192), traceback=text(4_096))
        for n in range(250)
    ]
    events.append(event("received", "t0", 0, name="n" * 512, args=text(8_192)))
    async with lab.open() as store:
        assert (await store.store(events, now=NOW)).changes == 250
        assert await stored(store, ["t0", "t9"]) == {
            id_: image for id_, image in merged(events).items() if id_ in ("t0", "t9")
        }


async def test_a_task_that_is_retried_for_ever_stays_bounded(lab: Lab) -> None:
    events = [event("retried", "a", clock) for clock in range(400)]
    async with lab.open() as store:
        for at in range(0, 400, 50):
            await store.store(events[at : at + 50], now=NOW)
        # What was dropped for its age is dropped again.
        assert (await store.store(events[:50], now=NOW)).changes == 0
        assert await stored(store, ["a"]) == merged(events)
