"""The search for results: to its end, in pages, or it says why not."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from herald_core.errors import StoreUnreachable
from herald_monitor.celery_client.backend.result_pages import ResultPage
from herald_monitor.reconcile.result_search import ResultSearch
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


class Pages:
    """Ten pages of three results, of which one each is unknown."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[str] = []
        self.fails_at = fails_at
        self.more = asyncio.Event()
        self.more.set()

    async def scan_results(self, since: float) -> AsyncGenerator[ResultPage]:
        for number in range(10):
            await self.more.wait()
            if number == self.fails_at:
                raise StoreUnreachable("nobody answers")
            ids = [f"t{number}-{i}" for i in range(3)]
            yield ResultPage(ids, 3 * number + 3, 30)

    async def import_unknown(self, ids: Sequence[str], since: float) -> int:
        self.seen += ids
        return 1


async def test_it_goes_through_all_pages_and_counts() -> None:
    pages, ended = Pages(), asyncio.Event()
    search = ResultSearch(pages, ended.set)
    search.start(["g1"], 0.0)
    assert search.is_running
    await ended.wait()
    assert (search.is_complete, search.problem) == (True, "")
    assert (search.searched, search.total, search.found) == (30, 30, 10)
    assert len(pages.seen) == 30


async def test_a_backend_that_stops_answering_leaves_it_incomplete() -> None:
    pages, ended = Pages(fails_at=4), asyncio.Event()
    search = ResultSearch(pages, ended.set)
    search.start(["g1"], 0.0)
    await ended.wait()
    assert (search.is_complete, search.problem) == (False, "nobody answers")
    pages.fails_at = None
    await wait_until_async(lambda: not search.is_running)
    search.start(["g1"], 0.0)
    await wait_until_async(lambda: search.is_complete)
    assert search.problem == ""


async def test_it_can_be_broken_off() -> None:
    pages = Pages()
    pages.more.clear()
    search = ResultSearch(pages, lambda: None)
    search.start(["g1"], 0.0)
    await search.stop()
    assert (search.is_running, search.is_complete) == (False, False)
