"""What is stored of a bulk order outlives its process, and has one writer."""

import msgspec
import pytest

from herald_server.control.bulk.journal import (
    IDS_PER_ITEM,
    OrderJournal,
    OrderTakenOver,
)
from herald_server.control.bulk.order import BulkOrder, Owner
from herald_server.control.bulk.progress import OrderProgress
from tests.support.store.labs import Lab

pytestmark = pytest.mark.anyio

IDS = [f"t{number}" for number in range(2 * IDS_PER_ITEM + 5)]


def make_order(order_id: str = "o", created_at: float = 1.0) -> BulkOrder:
    """Return an order for `IDS`."""
    return BulkOrder(
        id=order_id,
        action="retry",
        count=len(IDS),
        owner=Owner("ops", ("start",)),
        created_at=created_at,
        per_second=5.0,
    )


async def test_an_order_is_stored_once_with_its_tasks(lab: Lab) -> None:
    async with lab.open() as store:
        journal, order = OrderJournal(store), make_order()
        assert await journal.create(order, IDS)
        assert not await journal.create(make_order(created_at=2.0), IDS)
        assert await journal.read_order("o") == order
        assert await journal.list_open() == ["o"]
        start = IDS_PER_ITEM - 2
        assert await journal.read_ids(order, start, 5) == IDS[start : start + 5]
        assert await journal.read_ids(order, 2 * IDS_PER_ITEM, 100) == IDS[-5:]
        assert await journal.read_ids(order, len(IDS), 100) == []


async def test_the_newest_order_is_listed_first(lab: Lab) -> None:
    async with lab.open() as store:
        journal = OrderJournal(store)
        await journal.create(make_order("old", 1.0), IDS)
        await journal.create(make_order("new", 2.0), IDS)
        assert [one.id for one in await journal.list_orders()] == ["new", "old"]


async def test_progress_is_stored_by_one_process(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        mine, theirs = OrderJournal(one), OrderJournal(other)
        assert await mine.read_progress("o") == OrderProgress()
        first = await mine.store_progress("o", OrderProgress(owner="one", cursor=1))
        taken = msgspec.structs.replace(await theirs.read_progress("o"), owner="other")
        for _ in range(3):
            taken = await theirs.store_progress("o", taken)
            with pytest.raises(OrderTakenOver):
                await mine.store_progress("o", first)
        assert await mine.read_progress("o") == taken


async def test_an_order_that_ended_is_not_sent_on(lab: Lab) -> None:
    async with lab.open() as store:
        journal, order = OrderJournal(store), make_order()
        await journal.create(order, IDS)
        first = await journal.store_progress("o", OrderProgress(owner="one"))
        last = await journal.store_progress("o", first)
        await journal.require_open("o")
        await journal.close(order, last)
        with pytest.raises(OrderTakenOver):
            await journal.require_open("o")
        assert await journal.read_progress("o") == last


async def test_a_stop_is_read_by_who_carries_out_the_order(lab: Lab) -> None:
    async with lab.open() as store:
        journal = OrderJournal(store)
        assert await journal.read_stop("o") is None
        await journal.request_stop("o", "ops")
        assert await OrderJournal(store).read_stop("o") == "ops"


async def test_an_order_that_ended_keeps_no_tasks(lab: Lab) -> None:
    async with lab.open() as store:
        journal, order = OrderJournal(store), make_order()
        await journal.create(order, IDS)
        await journal.close(order, OrderProgress())
        assert await journal.list_open() == []
        assert await journal.read_ids(order, 0, 5) == []
        assert await journal.read_order("o") == order
