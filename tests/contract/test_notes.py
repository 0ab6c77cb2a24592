"""Small things that a server must not forget."""

import asyncio
from operator import not_

import pytest

from tests.support.store.labs import Lab
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def test_a_note_is_kept_and_found_by_all(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        assert await one.put_item("cancel", "t1", b"now", 60)
        assert await other.get_item("cancel", "t1") == b"now"
        assert await other.get_item("other", "t1") is None
        assert await one.put_item("cancel", "t1", b"later", 60)
        assert await other.get_items("cancel") == {"t1": b"later"}


async def test_of_many_who_take_a_new_note_one_succeeds(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        stores = {f"{n}".encode(): s for n, s in enumerate([one, other] * 5)}
        tries = [s.put_item("key", "k", n, 60, new=True) for n, s in stores.items()]
        kept = await asyncio.gather(*tries)
        assert kept.count(True) == 1
        assert await one.get_item("key", "k") == list(stores)[kept.index(True)]


async def test_a_note_runs_out_by_itself(lab: Lab) -> None:
    async with lab.open() as store:
        await store.put_item("key", "long", b"1", 60)
        await store.put_item("key", "short", b"2", 0.05)
        await wait_until_async(lambda: store.get_item("key", "short"), 30, accept=not_)
        assert await store.get_items("key") == {"long": b"1"}
        assert await store.put_item("key", "short", b"3", 60, new=True)


async def test_a_note_is_dropped(lab: Lab) -> None:
    async with lab.open() as store:
        await store.put_item("key", "k", b"1", 60)
        await store.delete_item("key", "k")
        await store.delete_item("key", "never")
        assert await store.get_item("key", "k") is None
        assert await store.get_items("key") == {}


async def test_ids_are_listed_in_the_order_in_which_they_run_out(lab: Lab) -> None:
    async with lab.open() as store:
        for id_, seconds in (("later", 60), ("soon", 30), ("last", 90), ("gone", 5)):
            await store.put_item("letter", id_, b"text", seconds)
        await store.delete_item("letter", "gone")
        assert await store.list_items("letter") == ["soon", "later", "last"]
        assert await store.list_items("other") == []


async def test_a_book_keeps_its_newest_lines(lab: Lab) -> None:
    async with lab.open() as store:
        for number in range(5):
            await store.push_line("audit", b"line %d" % number, limit=3, seconds=60)
        await store.push_line("other", b"another", limit=3, seconds=60)
        assert await store.read_lines("audit", 9) == [b"line 4", b"line 3", b"line 2"]
        assert await store.read_lines("audit", 1) == [b"line 4"]
        assert await store.read_lines("audit", 0) == []
        assert await store.read_lines("none", 9) == []


async def test_a_book_runs_out_after_its_last_line(lab: Lab) -> None:
    async with lab.open() as store:
        await store.push_line("audit", b"line", limit=3, seconds=0.05)
        await wait_until_async(lambda: store.read_lines("audit", 9), accept=not_)
