"""What many ask for at once is read once for all, and after each has asked."""

import asyncio

import pytest

from herald_server.push.session.shared_read import SharedRead

pytestmark = pytest.mark.anyio


class Store:
    """A store whose reads end when they are let."""

    def __init__(self) -> None:
        self.begun = 0
        self.let = asyncio.Event()

    async def read(self) -> int:
        self.begun += 1
        number = self.begun
        await self.let.wait()
        if number == 3:
            raise ValueError
        return number


async def begun(store: Store, number: int) -> None:
    async with asyncio.timeout(30):
        while store.begun < number:
            await asyncio.sleep(0)


async def test_all_who_asked_before_a_read_began_share_it() -> None:
    store = Store()
    shared = SharedRead(store.read)
    first = [asyncio.ensure_future(shared()) for _ in range(5)]
    await begun(store, 1)
    # What changed since the first read began must not be missing.
    later = [asyncio.ensure_future(shared()) for _ in range(5)]
    store.let.set()
    assert await asyncio.gather(*first) == [1] * 5
    assert await asyncio.gather(*later) == [2] * 5


async def test_one_who_gives_up_takes_it_from_nobody() -> None:
    store = Store()
    shared = SharedRead(store.read)
    first, second = (asyncio.ensure_future(shared()) for _ in "ab")
    await begun(store, 1)
    first.cancel()
    store.let.set()
    assert await second == 1


async def test_an_error_is_told_to_all() -> None:
    store = Store()
    store.begun = 2
    store.let.set()
    shared = SharedRead(store.read)
    found = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [type(one) for one in found] == [ValueError] * 2
    assert await shared() == 4
