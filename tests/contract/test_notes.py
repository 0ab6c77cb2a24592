"""Small things that a server must not forget."""

import asyncio

import pytest

from tests.contract.labs import Lab

pytestmark = pytest.mark.anyio


async def test_a_note_is_kept_and_found_by_all(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        assert await one.put_note("cancel", "t1", b"now", 60)
        assert await other.note("cancel", "t1") == b"now"
        assert await other.note("other", "t1") is None
        assert await one.put_note("cancel", "t1", b"later", 60)
        assert await other.notes("cancel") == {"t1": b"later"}


async def test_of_many_who_take_a_new_note_one_succeeds(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        stores = {f"{n}".encode(): s for n, s in enumerate([one, other] * 5)}
        tries = [s.put_note("key", "k", n, 60, new=True) for n, s in stores.items()]
        kept = await asyncio.gather(*tries)
        assert kept.count(True) == 1
        assert await one.note("key", "k") == list(stores)[kept.index(True)]


async def test_a_note_runs_out_by_itself(lab: Lab) -> None:
    async with lab.open() as store:
        await store.put_note("key", "long", b"1", 60)
        await store.put_note("key", "short", b"2", 0.05)
        async with asyncio.timeout(5):
            while await store.note("key", "short") is not None:
                await asyncio.sleep(0.01)
        assert await store.notes("key") == {"long": b"1"}
        assert await store.put_note("key", "short", b"3", 60, new=True)


async def test_a_note_is_dropped(lab: Lab) -> None:
    async with lab.open() as store:
        await store.put_note("key", "k", b"1", 60)
        await store.drop_note("key", "k")
        await store.drop_note("key", "never")
        assert await store.note("key", "k") is None
        assert await store.notes("key") == {}


async def test_ids_are_listed_in_the_order_in_which_they_run_out(lab: Lab) -> None:
    async with lab.open() as store:
        for id_, seconds in (("later", 60), ("soon", 30), ("last", 90), ("gone", 5)):
            await store.put_note("letter", id_, b"text", seconds)
        await store.drop_note("letter", "gone")
        assert await store.noted("letter") == ["soon", "later", "last"]
        assert await store.noted("other") == []


async def test_a_book_keeps_its_newest_lines(lab: Lab) -> None:
    async with lab.open() as store:
        for number in range(5):
            await store.add_line("audit", b"line %d" % number, most=3, seconds=60)
        await store.add_line("other", b"another", most=3, seconds=60)
        assert await store.lines("audit", 9) == [b"line 4", b"line 3", b"line 2"]
        assert await store.lines("audit", 1) == [b"line 4"]
        assert await store.lines("audit", 0) == []
        assert await store.lines("none", 9) == []


async def test_a_book_runs_out_after_its_last_line(lab: Lab) -> None:
    async with lab.open() as store:
        await store.add_line("audit", b"line", most=3, seconds=0.05)
        async with asyncio.timeout(10):
            while await store.lines("audit", 9):
                await asyncio.sleep(0.01)
