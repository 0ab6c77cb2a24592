"""Work that only one may do."""

import asyncio
import time

import pytest

from tests.contract.labs import Lab

pytestmark = pytest.mark.anyio


async def test_only_one_has_a_lease(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        tries = (s.lease("sweep", n, 60) for n, s in (("a", one), ("b", other)))
        assert sorted(await asyncio.gather(*tries)) == [False, True]


async def test_a_lease_is_renewed_by_its_owner(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.lease("sweep", "a", 60)
        assert await store.lease("sweep", "a", 60)
        assert not await store.lease("sweep", "b", 60)
        assert await store.lease("other", "b", 60)


async def test_a_lease_is_given_back_by_its_owner_alone(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.lease("sweep", "a", 60)
        assert not await store.lease("sweep", "b", 0)
        assert not await store.lease("sweep", "b", 60)
        assert await store.lease("sweep", "a", 0)
        began = time.monotonic()
        while not await store.lease("sweep", "b", 60):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.001)


async def test_a_lease_runs_out(lab: Lab) -> None:
    async with lab.open() as store:
        assert await store.lease("sweep", "a", 0.1)
        began = time.monotonic()
        while not await store.lease("sweep", "b", 60):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.01)
        assert time.monotonic() - began > 0.05
        assert not await store.lease("sweep", "a", 60)
