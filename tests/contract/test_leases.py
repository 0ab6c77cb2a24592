"""Work that only one may do."""

import asyncio
import time

import pytest

from tests.support.store.labs import Lab
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def test_only_one_has_a_lease(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        tries = (s.acquire_lease("sweep", n, 60) for n, s in (("a", one), ("b", other)))
        assert sorted(await asyncio.gather(*tries)) == [False, True]


async def test_a_lease_is_renewed_by_its_owner(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.acquire_lease("sweep", "a", 60)
        assert await store.acquire_lease("sweep", "a", 60)
        assert not await store.acquire_lease("sweep", "b", 60)
        assert await store.acquire_lease("other", "b", 60)


async def test_a_lease_is_given_back_by_its_owner_alone(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.acquire_lease("sweep", "a", 60)
        assert not await store.acquire_lease("sweep", "b", 0)
        assert not await store.acquire_lease("sweep", "b", 60)
        assert await store.acquire_lease("sweep", "a", 0)
        await wait_until_async(lambda: store.acquire_lease("sweep", "b", 60), 30)


async def test_a_lease_runs_out(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.acquire_lease("sweep", "a", 0.1)
        began = time.monotonic()
        await wait_until_async(lambda: store.acquire_lease("sweep", "b", 60), 30)
        assert time.monotonic() - began > 0.05
        assert not await store.acquire_lease("sweep", "a", 60)
