"""The series for Prometheus: each event counts once, and none is ever taken back."""

import asyncio
from contextlib import suppress
from functools import partial
from random import Random

import pytest

from herald_core.errors import StoreError
from herald_core.model.rollups.counter_delta import CounterLabels, CounterRules
from herald_core.store.ports import Store
from herald_core.store.task_counters import TaskCounter
from tests.support.herald.server import make_store
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import NOW, Lab, event
from tests.support.store.records import life
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

WORKER = CounterLabels("x.add", "q", "h")
CLIENT = CounterLabels("x.add", "q", "client")
INF = float("inf")


async def series(store: Store) -> dict[CounterLabels, TaskCounter]:
    """Return all series by their labels."""
    return {one.labels: one for one in await store.read_task_counters()}


async def total(store: Store, word: str) -> int:
    """Return how many events of a kind all series hold."""
    return sum(one.events.get(word, 0) for one in (await store.read_task_counters()))


async def _holds(store: Store, word: str, number: int) -> bool:
    return await total(store, word) == number


async def test_a_task_counts_under_its_name_queue_and_hosts(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a"), now=NOW + 9)
        found = await series(store)
        assert found.keys() == {WORKER, CLIENT}
        assert found[CLIENT].events == {"submitted": 1}
        one = found[WORKER]
        assert one.events == {"received": 1, "started": 1, "succeeded": 1}
        assert (one.runtimes, one.runtime_s) == ({0.5: 1}, 0.5)
        assert (one.waits, one.wait_s) == ({2.5: 1}, 2.0)


async def test_events_one_by_one_count_as_those_together(lab: Lab) -> None:
    async with lab.open() as store:
        for one in life("a"):
            await store.store([one], now=NOW + 9)
        apart = await series(store)
    together = lab.fresh()
    async with together.open() as store:
        await store.store(life("a"), now=NOW + 9)
        assert await series(store) == apart
    together.clean()


async def test_a_failure_counts_by_its_class(lab: Lab) -> None:
    failed = event("failed", "a", 4, exception="ValueError('no')")
    odd = event("failed", "b", 4, exception="no class")
    async with lab.open() as store:
        await store.store([*life("a")[:3], failed], now=NOW + 9)
        await store.store([*life("b")[:3], odd], now=NOW + 9)
        found = await series(store)
        for name in ("ValueError", "UnknownException"):
            labels = CounterLabels("x.add", "q", "h", name)
            assert found[labels].events == {"failed": 1}


async def test_what_is_heard_again_or_elsewhere_counts_once(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        await one.store(life("a"), now=NOW)
        await other.store(life("a"), now=NOW + 1)
        await one.store(life("a"), now=NOW + 2)
        assert (await series(one))[WORKER].events["succeeded"] == 1


async def test_what_was_refused_counts_once(lab: Lab) -> None:
    """Many writers at once: each is behind the others, and merges again."""
    ids = [f"t{n}" for n in range(40)]
    events = [one for id_ in ids for one in life(id_)]
    async with lab.open() as one, lab.open() as other:

        async def write(store: Store, seed: int) -> None:
            mine = Random(seed).sample(events, len(events))
            for at in range(0, len(mine), 16):
                await store.store(mine[at : at + 16], now=NOW + at)

        await asyncio.gather(*(write(s, n) for n, s in enumerate([one, other, one])))
        for word in ("submitted", "received", "started", "succeeded"):
            # The other stores its additions a moment later.
            await wait_until_async(partial(_holds, one, word, len(ids)))
        found = await one.read_task_counters()
        assert sum(sum(s.runtimes.values()) for s in found) == len(ids)
        assert sum(s.runtime_s for s in found) == pytest.approx(0.5 * len(ids))


async def test_a_name_that_is_heard_late_counts_nothing_again(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([event("started", "a", 3)], now=NOW + 9)
        await store.store([event("received", "a", 2, name="x.add")], now=NOW + 9)
        found = await series(store)
        assert found[CounterLabels("", "", "h")].events == {"started": 1}
        assert found[CounterLabels("x.add", "", "h")].events == {"received": 1}


async def test_combinations_are_bounded(lone_lab: Lab) -> None:
    rules = CounterRules(max_series=3)
    events = [event("received", f"t{n}", 1, name=f"n{n}") for n in range(9)]
    async with lone_lab.open(counters=rules) as store:
        for one in events:
            await store.store([one], now=NOW)
        await store.store([event("started", f"t{n}") for n in range(9)], now=NOW)
        found = await store.read_task_counters()
        assert len(found) == 4
        [other] = [one for one in found if one.is_other]
        assert other.events == {"received": 6, "started": 6}


async def test_hosts_may_count_together(lone_lab: Lab) -> None:
    async with lone_lab.open(counters=CounterRules(has_hosts=False)) as store:
        await store.store(life("a"), now=NOW + 9)
        [one] = await store.read_task_counters()
        assert one.labels.host == "generic"
        assert one.events["submitted"] == one.events["succeeded"] == 1


async def test_a_series_without_events_is_deleted(lone_lab: Lab) -> None:
    rules = CounterRules(retention_s=600.0)
    late = event("received", "b", 1, name="x.sub")
    async with lone_lab.open(counters=rules) as store:
        await store.store(life("a"), now=NOW)
        assert len(await store.read_task_counters()) == 2
        await store.store([late], now=NOW + 500)
        await store.expire_tasks(now=NOW + 590)
        assert len(await store.read_task_counters()) == 3
        await store.expire_tasks(now=NOW + 700)
        assert (await series(store)).keys() == {CounterLabels("x.sub", "", "h")}


async def test_the_trace_of_a_task_is_an_exemplar(lab: Lab) -> None:
    _, *rest = life("a")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    traced = event(
        "sent", "a", 1, host="client", name="x.add", queue="q", trace_id=trace
    )
    async with lab.open() as store:
        await store.store([traced, *rest], now=NOW + 9)
        assert (await series(store))[WORKER].exemplar == (trace, 0.5)


async def test_additions_are_stored_once_the_store_answers_again(
    valkey: PrivateValkey,
) -> None:
    store = make_store(valkey.url)
    await store.open()
    await store.store(life("a"), now=NOW)
    valkey.kill()
    with pytest.raises(StoreError):
        await store.read_task_counters()
    valkey.start()
    await wait_until_async(partial(_answers, store))
    assert await total(store, "succeeded") == 1
    await store.close()


async def _answers(store: Store) -> bool:
    with suppress(StoreError):
        return bool(await store.read_task_counters())
    return False
