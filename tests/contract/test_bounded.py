"""Names, workers, queues and tags beyond those that are indexed apart."""

from typing import Any, cast

import pytest

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.index_limits import IndexLimits
from herald_core.store.redis.keys import BOUNDED_KEYS
from tests.support.store.labs import NOW, Lab, event, walk

pytestmark = pytest.mark.anyio

FEW = IndexLimits(3, 3, 3, 3, 3)
KEYS = ["name", "worker", "queue", "tag"]


def of_value(key: str, value: str, id_: str, clock: int = 1) -> Event:
    """Return an event of a task that has `value` for `key`."""
    field = {"name": "name", "worker": "host", "queue": "queue", "tag": "tags"}[key]
    given: dict[str, Any] = {field: (value,) if key == "tag" else value}
    return event("received", id_, clock, **given)


def by(key: str, *values: str) -> Filter:
    """Return the filter of tasks that have one of `values` for `key`."""
    return Filter(**cast(Any, {key: values}))


async def ids(store: Any, filter_: Filter, limit: int = 7) -> list[str]:
    """Return the ids of all pages, sorted."""
    return sorted(task.id for task in await walk(store, filter_, limit))


def listed(lab: Lab, key: str) -> list[set[str]]:
    """Return the values that are indexed apart, of each partition."""
    if lab.url is None:
        return []
    with lab.client() as plain:
        client = cast(Any, plain)
        return [
            {value.decode() for value in client.zrange(f"{prefix}:v:{key}", 0, -1)}
            for prefix in lab.prefixes
        ]


def apart(lab: Lab, key: str) -> list[int]:
    """Return how many values are indexed apart, in each partition."""
    return [len(values) for values in listed(lab, key)]


@pytest.mark.parametrize("key", KEYS)
async def test_no_more_values_are_indexed_apart_than_may_be(lab: Lab, key: str) -> None:
    events = [of_value(key, f"v{n}", f"t{n:02}") for n in range(40)]
    async with lab.open(apart=FEW) as store:
        await store.store(events, now=NOW)
        assert all(number == 3 for number in apart(lab, key))


@pytest.mark.parametrize("key", KEYS)
async def test_tasks_of_further_values_are_found_by_them(lab: Lab, key: str) -> None:
    events = [of_value(key, f"v{n % 20}", f"t{n:02}") for n in range(60)]
    async with lab.open(apart=FEW) as store:
        for at in range(0, 60, 15):
            await store.store(events[at : at + 15], now=NOW + at)
        for value in range(20):
            wanted = [f"t{value:02}", f"t{value + 20:02}", f"t{value + 40:02}"]
            assert await ids(store, by(key, f"v{value}"), 2) == wanted
            assert await store.count_tasks(by(key, f"v{value}"), 100) == 3
        assert await ids(store, by(key, "v1", "v19", "v3")) == sorted(
            f"t{n:02}" for n in range(60) if n % 20 in (1, 3, 19)
        )
        assert await ids(store, by(key, "v", "v2\0", "v200", "*v")) == []


@pytest.mark.parametrize("key", KEYS[:3])
async def test_wildcards_find_further_values_too(lab: Lab, key: str) -> None:
    events = [of_value(key, f"v{n:02}", f"t{n:02}") for n in range(40)]
    async with lab.open(apart=FEW) as store:
        await store.store(events, now=NOW)
        assert await ids(store, by(key, "v1?")) == [f"t{n}" for n in range(10, 20)]
        assert await store.count_tasks(by(key, "v1?", "v05"), 100) == 11
        one_state = Filter(state=("RECEIVED",), **cast(Any, {key: ("v*",)}))
        assert await ids(store, one_state) == [f"t{n:02}" for n in range(40)]


@pytest.mark.parametrize("key", KEYS)
async def test_a_place_is_free_again_with_the_last_task(lab: Lab, key: str) -> None:
    def named(from_: int) -> list[Event]:
        return [of_value(key, f"v{n}", f"t{n}") for n in range(from_, from_ + 40)]

    async with lab.open(apart=FEW, retention=60, keep_unfinished=60) as store:
        await store.store(named(0), now=NOW)
        before = listed(lab, key)
        assert await store.expire_tasks(now=NOW + 61) == 40
        assert all(number == 0 for number in apart(lab, key))
        await store.store(named(100), now=NOW + 62)
        assert all(number == 3 for number in apart(lab, key))
        assert all(map(set[str].isdisjoint, before, listed(lab, key)))
        assert await ids(store, by(key, "v139")) == ["t139"]


@pytest.mark.parametrize("key", KEYS)
async def test_a_value_in_both_indexes_is_found_whole(lab: Lab, key: str) -> None:
    """It had no place, then it had: what came before stays where it is."""
    async with lab.open(apart=FEW, retention=60, keep_unfinished=600) as store:
        early = [of_value(key, f"v{n}", f"a{n:02}") for n in range(30)]
        ended = [event("succeeded", e.task_id, 2, host=e.host) for e in early]
        await store.store(early + ended, now=NOW)
        late = [of_value(key, f"x{n % 9}", f"b{n:02}") for n in range(90)]
        await store.store(late[:45], now=NOW + 1)
        await store.expire_tasks(now=NOW + 62)
        await store.store(late[45:], now=NOW + 62)
        for n in range(9):
            wanted = [f"b{m:02}" for m in range(n, 90, 9)]
            assert await ids(store, by(key, f"x{n}"), 4) == wanted
            assert await store.count_tasks(by(key, f"x{n}"), 100) == 10
        assert await store.expire_tasks(now=NOW + 700) == 90
        assert await ids(store, by(key, "x1")) == []


async def test_a_task_that_goes_to_another_worker_leaves_the_first(lab: Lab) -> None:
    hosts = [f"w{n}" for n in range(20)]
    async with lab.open(apart=FEW) as store:
        at = [event("received", f"t{n}", 1, host=h) for n, h in enumerate(hosts)]
        await store.store(at, now=NOW)
        moved = [
            event("received", f"t{n}", 5, host=hosts[(n + 7) % 20], retries=1)
            for n in range(20)
        ]
        await store.store(moved, now=NOW + 5)
        for n in range(20):
            assert await ids(store, by("worker", hosts[(n + 7) % 20])) == [f"t{n}"]


async def test_a_task_of_several_tags_is_found_by_each(lab: Lab) -> None:
    tags = [tuple(f"v{n + m}" for m in range(5)) for n in range(20)]
    events = [event("received", f"t{n:02}", tags=of) for n, of in enumerate(tags)]
    async with lab.open(apart=FEW) as store:
        await store.store(events, now=NOW)
        for n in range(24):
            wanted = [f"t{m:02}" for m in range(max(n - 4, 0), min(n, 19) + 1)]
            assert await ids(store, by("tag", f"v{n}")) == wanted


async def test_more_values_than_are_looked_for_one_by_one(lab: Lab) -> None:
    events = [event("received", f"t{n:03}", name=f"n{n}") for n in range(300)]
    async with lab.open(apart=FEW) as store:
        await store.store(events, now=NOW)
        wanted = by("name", *(f"n{n}" for n in range(0, 300, 2)))
        assert await ids(store, wanted, 50) == [f"t{n:03}" for n in range(0, 300, 2)]
        assert await store.count_tasks(wanted, 1000) == 150


async def test_records_that_ran_out_leave_the_others_too(redis_lab: Lab) -> None:
    events = [
        event("received", f"t{n}", name=f"n{n}", tags=(f"n{n}",)) for n in range(9)
    ]
    async with redis_lab.open(apart=FEW, keep_unfinished=60) as store:
        await store.store(events, now=NOW)
        with redis_lab.client() as client:
            client.delete(*(f"{redis_lab.prefix}:t2:t{n}" for n in range(9)))
        assert await store.expire_tasks(now=NOW + 61) == 9
        with redis_lab.client() as plain:
            client = cast(Any, plain)
            kinds = [f"{redis_lab.prefix}:{kind}:*" for kind in "oxl"]
            assert [key for kind in kinds for key in client.scan_iter(kind)] == []
        assert [apart(redis_lab, key) for key in BOUNDED_KEYS] == [[0]] * 5


async def test_a_full_index_takes_a_value_once_another_has_left(
    redis_lab: Lab,
) -> None:
    async with redis_lab.open(apart=FEW, retention=60) as store:
        sent = [
            event("sent", f"t{n}", name=f"n{n}", source="submitted") for n in range(4)
        ]
        await store.store(sent, now=NOW)
        assert listed(redis_lab, "name") == [{"n0", "n1", "n2"}]
        assert await store.withdraw(["t1"]) == 1
        await store.store([event("received", "t9", name="n9")], now=NOW)
        assert listed(redis_lab, "name") == [{"n0", "n2", "n9"}]
