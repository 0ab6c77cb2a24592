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
