"""Failed attempts by cause: counted once, in their minute, found by their cause."""

import pytest

from herald_core.model.events.event import Event
from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.filters import Filter
from herald_core.model.rollups.failure_rollup import (
    CauseAndName,
    FailedAndRetried,
    merge_failure_rollups,
)
from herald_core.model.rollups.rollup import MAX_PARTS, OTHER_PART
from herald_core.store.ports import Store
from tests.support.store.labs import NOW, Lab, event, walk

pytestmark = pytest.mark.anyio

TRACEBACK = (
    'Traceback (most recent call last):\n  File "/srv/shop/pay.py", line 1, in charge\n'
)
CAUSE = make_fingerprint("ValueError('no')", TRACEBACK)


def make_failure(id_: str, at: int = 3, kind: str = "failed", **fields: str) -> Event:
    given = {"exception": f"ValueError('{id_}')", "traceback": TRACEBACK, **fields}
    return event(kind, id_, at, **given)


def make_run(id_: str, at: int = 0, **fields: str) -> list[Event]:
    return [
        event("received", id_, at + 1, name="shop.pay"),
        event("started", id_, at + 2),
        make_failure(id_, at + 3, **fields),
    ]


async def count(store: Store) -> dict[CauseAndName, FailedAndRetried]:
    found = await store.read_failure_rollups(NOW - 600, NOW + 600)
    return merge_failure_rollups(found).counts


async def test_failures_count_by_cause_and_name(lab: Lab) -> None:
    other = make_run("c", exception="KeyError('x')")
    async with lab.open() as store:
        await store.store([*make_run("a"), *make_run("b"), *other], now=NOW)
        assert await count(store) == {
            (CAUSE, "shop.pay"): (2, 0),
            (make_fingerprint("KeyError('x')", TRACEBACK), "shop.pay"): (1, 0),
        }


async def test_what_is_heard_again_or_elsewhere_counts_once(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        for store in (one, other, one):
            await store.store(make_run("a"), now=NOW)
        assert await count(one) == {(CAUSE, "shop.pay"): (1, 0)}


async def test_retried_attempts_count_apart(lab: Lab) -> None:
    again = event("received", "a", 4, retries=1)
    end = [event("started", "a", 5), make_failure("a", 6)]
    async with lab.open() as store:
        for one in [*make_run("a")[:2], make_failure("a", 3, "retried"), again, *end]:
            await store.store([one], now=NOW)
        assert await count(store) == {(CAUSE, "shop.pay"): (1, 1)}


async def test_each_failure_counts_in_its_minute(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([*make_run("a"), *make_run("b", 120)], now=NOW + 200)
        minutes = await store.read_failure_rollups(NOW, NOW + 600)
        assert [one.at - int(NOW) for one in minutes] == [0, 120]
        assert await store.read_failure_rollups(NOW + 60, NOW + 120) == []


async def test_a_success_that_corrects_a_failure_is_subtracted(lab: Lab) -> None:
    success = event("succeeded", "a", 4, source="backend", host="", pid=0)
    async with lab.open() as store:
        await store.store(make_run("a"), now=NOW)
        await store.store([success], now=NOW + 5)
        task = await store.get_task("a")
        assert (task.state, task.failure) == ("SUCCESS", None)
        assert await count(store) == {}


async def test_causes_beyond_the_limit_of_a_minute_are_one(lab: Lab) -> None:
    events = [
        one
        for n in range(4 * MAX_PARTS)
        for one in make_run(f"t{n}", exception=f"Error{n:03}()")
    ]
    async with lab.open() as store:
        await store.store(events, now=NOW)
        counts = await count(store)
        assert sum(failed for failed, _ in counts.values()) == 4 * MAX_PARTS
        assert any(cause == OTHER_PART for cause, _ in counts)
        assert len(counts) <= (MAX_PARTS + 2) * max(lab.parts, 1)


async def test_tasks_are_found_and_counted_by_their_cause(lab: Lab) -> None:
    wanted = Filter(failure=(CAUSE,))
    waiting = [*make_run("c")[:2], make_failure("c", 3, "retried")]
    other = make_run("d", exception="KeyError('x')")
    async with lab.open() as store:
        await store.store([*make_run("a"), *make_run("b")], now=NOW)
        await store.store([*waiting, *other], now=NOW)
        assert sorted(task.id for task in await walk(store, wanted)) == ["a", "b"]
        assert await store.count_tasks(wanted, 100) == 2


async def test_a_task_that_runs_again_leaves_its_cause(lab: Lab) -> None:
    again = [event("received", "a", 9, retries=1), event("started", "a", 10)]
    async with lab.open() as store:
        await store.store(make_run("a"), now=NOW)
        await store.store(again, now=NOW + 20)
        assert (await store.get_task("a")).failure is None
        assert await walk(store, Filter(failure=(CAUSE,))) == []
