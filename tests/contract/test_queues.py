"""Queues in the store: as they were measured, told when that is news, and forgotten."""

from typing import Any

import pytest

from herald_core.model.tasks.views import to_rfc3339
from tests.support.store.labs import NOW, Lab, all_changes, event
from tests.support.store.records import measured

pytestmark = pytest.mark.anyio


async def test_a_queue_is_shown_and_announced_as_it_was_measured(lab: Lab) -> None:
    async with lab.open() as store:
        fields: dict[str, Any] = {"depth": 3, "consumers": (), "in_per_minute": 1.5}
        asked = [measured(**fields), measured("a", consumers=("w1@h",))]
        assert (await store.store_queues(asked, now=NOW)).changes == 2
        first, second = await store.list_queues()
        assert (first.name, first.depth, first.consumers) == ("a", None, ("w1@h",))
        assert second == measured(rev=second.rev, **fields)
        assert second.is_unconsumed
        told = [c async for c in all_changes(store)]
        assert [(c.kind, c.id, c.rev) for c in told] == [
            ("q", "reports", second.rev),
            ("q", "a", first.rev),
        ]
        assert b'"consumers":[]' in told[0].json, "nobody is not the same as unknown"


async def test_what_is_as_it_was_is_no_news_for_a_minute(lab: Lab) -> None:
    async with lab.open() as store:
        for at, depth, changes in ((0, 1, 1), (10, 1, 0), (20, 2, 1), (79, 2, 0)):
            got = await store.store_queues([measured(at=at, depth=depth)], now=NOW + at)
            assert got.changes == changes, at
        assert (
            await store.store_queues([measured(at=80, depth=2)], now=NOW)
        ).changes == 1
        [queue] = await store.list_queues()
        assert queue.as_of == to_rfc3339(NOW + 80)


async def test_a_queue_that_is_not_measured_any_more_is_forgotten(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store_queues([measured("old")], now=NOW)
        await store.store_queues([measured("new", at=60)], now=NOW + 60)
        await store.expire_tasks(now=NOW + 601)
        assert [queue.name for queue in await store.list_queues()] == ["new"]
        *_, last = [c async for c in all_changes(store)]
        assert (last.kind, last.id, last.is_deletion) == ("q", "old", True)


async def test_the_queues_of_tasks_are_known(lab: Lab) -> None:
    async with lab.open() as store:
        told = [event("sent", "1", queue="b"), event("sent", "2", queue="a")]
        await store.store([*told, event("sent", "3")], now=NOW)
        assert await store.list_queue_names(NOW - 5) == ["a", "b"]
