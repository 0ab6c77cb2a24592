"""Declared arguments are found by tag in every store."""

import pytest

from herald_core.model.filters import Filter
from herald_core.model.queries.argument_index import ArgumentIndex, parse_index
from herald_core.store.index_file import HANDOVER_S, declare_index, read_index_times
from tests.support.store.labs import NOW, Lab, event, walk

pytestmark = pytest.mark.anyio


def index(*paths: str) -> ArgumentIndex:
    found = parse_index({"orders.*": list(paths)})
    assert found is not None
    return found


async def test_tasks_are_found_by_the_values_of_declared_arguments(lab: Lab) -> None:
    async with lab.open(index=index("kwargs.order_id")) as store:
        for number in range(20):
            kwargs = f"{{'order_id': {number % 5}}}"
            received = event("received", f"t{number:02}", 1, name="orders.pay",
                             kwargs=kwargs, tags=("user:1",))  # fmt: skip
            await store.store([received], now=NOW + number)
        ended = event("succeeded", "t13", 2, result="1", runtime=0.1)
        await store.store([ended], now=NOW + 30)
        found = await walk(store, Filter(tag=("kwargs.order_id:3",)))
        assert [task.id for task in found] == ["t18", "t13", "t08", "t03"]
        assert found[0].tags == ("kwargs.order_id:3", "user:1")
        assert len(await walk(store, Filter(tag=("user:1",)))) == 20


async def test_index_ends_with_its_tasks(lab: Lab) -> None:
    async with lab.open(index=index("args.0"), retention=10) as store:
        received = event("received", "a", 1, name="orders.pay", args="(7,)")
        ended = event("succeeded", "a", 2, result="1", runtime=0.1)
        await store.store([received, ended], now=NOW)
        assert await store.count_tasks(Filter(tag=("args.0:7",)), 10) == 1
        assert await store.expire_tasks(now=NOW + 3600) == 1
        assert await store.count_tasks(Filter(tag=("args.0:7",)), 10) == 0


async def test_a_key_is_known_since_it_was_first_declared(lab: Lab) -> None:
    async with lab.open() as store:
        await declare_index(store, index("args.0"), NOW)
        await declare_index(store, index("args.0", "kwargs.k"), NOW + 100)
        assert await read_index_times(store) == {
            ("orders.*", "args.0"): NOW + HANDOVER_S,
            ("orders.*", "kwargs.k"): NOW + 100 + HANDOVER_S,
        }
        await declare_index(store, None, NOW + 200)
        assert await read_index_times(store) == {}
