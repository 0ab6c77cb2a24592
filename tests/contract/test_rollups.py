"""Minutes: whatever the order and the ways, they hold what the tasks come to."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.rollups.rollup import (
    MAX_PARTS,
    OTHER_PART,
    ROLLUP_RETENTION_S,
    Rollup,
)
from herald_core.model.rollups.rollup_delta import count_task
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, merge
from herald_core.store.ports import Store
from herald_core.store.rollup_sums import RollupSums, list_counters, make_rollup
from tests.support.store.labs import NOW, Lab, event
from tests.support.store.random_events import IDS, RELAXED, an_event
from tests.support.store.records import life

pytestmark = pytest.mark.anyio

HOUR = 3_600.0


async def counted(store: Store, **asked: Any) -> dict[str, int]:
    """Return the counts of the hour around `NOW`."""
    found = await store.read_rollups(NOW - HOUR, NOW + HOUR, **asked)
    return dict(sum((Counter(one.counts) for one in found), Counter[str]()))


async def test_each_word_counts_in_the_minute_in_which_it_happened(lab: Lab) -> None:
    sent, received, started, _ = life("a")
    later = event("succeeded", "a", 70, runtime=67.0)
    async with lab.open() as store:
        await store.store([sent, received, started, later], now=NOW + 200)
        assert await store.read_rollups(NOW, NOW + 120) == [
            Rollup(at=int(NOW), counts={"submitted": 1, "received": 1, "started": 1}),
            Rollup(at=int(NOW) + 60, counts={"succeeded": 1}, runtimes={65: 1}),
        ]
        assert await store.read_rollups(NOW + 120, NOW + 600) == []


async def test_what_is_heard_again_or_elsewhere_counts_once(lab: Lab) -> None:
    async with lab.open() as one, lab.open() as other:
        await one.store(life("a"), now=NOW)
        await other.store(life("a"), now=NOW + 1)
        await one.store(life("a"), now=NOW + 2)
        once = {"submitted": 1, "received": 1, "started": 1, "succeeded": 1}
        assert await counted(one) == once


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
        words = ("submitted", "received", "started", "succeeded")
        assert await counted(one) == dict.fromkeys(words, len(ids))


async def test_a_task_that_was_not_lost_is_not_counted_as_lost(lab: Lab) -> None:
    lost = event("lost", "a", 90, source="inferred", host="")
    async with lab.open() as store:
        await store.store([*life("a")[:3], lost], now=NOW + 90)
        assert (await counted(store))["lost"] == 1
        end = event("succeeded", "a", 95, arrived_at=NOW + 99)
        await store.store([end], now=NOW + 99)
        told = await counted(store)
        assert ("lost" not in told, told["succeeded"]) == (True, 1)


async def test_a_late_repair_counts_in_its_own_minute(lab: Lab) -> None:
    end = event("failed", "a", 30, source="backend", host="", pid=0)
    async with lab.open() as store:
        await store.store(life("a")[:3], now=NOW + 5)
        await store.store([end], now=NOW + HOUR)
        [minute] = await store.read_rollups(NOW, NOW + HOUR)
        assert (minute.at, minute.counts["failed"]) == (int(NOW), 1)


async def test_what_is_too_old_is_not_counted(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a"), now=NOW + ROLLUP_RETENTION_S + 60)
        assert await counted(store) == {}


async def test_each_attempt_counts(lab: Lab) -> None:
    events = [
        event("received", "a", 1, retries=0),
        event("started", "a", 2),
        event("retried", "a", 3),
        event("received", "a", 4, retries=1),
        event("started", "a", 5),
        event("failed", "a", 6),
    ]
    async with lab.open() as store:
        for one in events:
            await store.store([one], now=NOW + 9)
        expected = {"received": 2, "started": 2, "retried": 1, "failed": 1}
        assert await counted(store) == expected


async def test_a_name_and_a_queue_have_counts_of_their_own(lab: Lab) -> None:
    other = [event("received", "b", 5, name="x.sub"), event("started", "b", 6)]
    async with lab.open() as store:
        await store.store([*life("a"), *other], now=NOW + 9)
        assert (await counted(store, name="x.sub")) == {"received": 1, "started": 1}
        assert (await counted(store, queue="q"))["received"] == 1
        assert await counted(store, name="never") == {}
        [minute] = await store.read_rollups(NOW, NOW + 60, parts=True)
        assert minute.names["x.sub"] == {"received": 1, "started": 1}
        assert set(minute.names) == {"x.add", "x.sub"}
        assert minute.queues["q"]["succeeded"] == 1


async def test_a_name_that_is_heard_late_takes_the_counts(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([event("started", "a", 3)], now=NOW + 9)
        await store.store([event("received", "a", 2, name="x.add")], now=NOW + 9)
        assert await counted(store, name="x.add") == {"received": 1, "started": 1}
        assert await counted(store) == {"received": 1, "started": 1}


async def test_many_names_of_a_minute_are_bounded(lone_lab: Lab) -> None:
    total = MAX_PARTS + 20
    events = [event("received", f"t{n}", 1, name=f"n{n}") for n in range(total)]
    async with lone_lab.open() as store:
        await store.store(events, now=NOW)
        # They count where their first word counted.
        await store.store([event("started", f"t{n}") for n in range(total)], now=NOW)
        [minute] = await store.read_rollups(NOW, NOW + 60, parts=True)
        assert len(minute.names) == MAX_PARTS + 1
        assert minute.names[OTHER_PART] == {"received": 20, "started": 20}
        assert minute.counts == {"received": total, "started": total}


async def test_forgetting_a_task_leaves_the_minutes(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        before = await counted(store)
        assert await store.expire_tasks(now=NOW + 61) == 1
        assert await counted(store) == before


def expected(events: list[Event], now: float) -> list[Rollup]:
    """Return the minutes by looking at the final tasks."""
    tasks: dict[str, Task] = {}
    for one in events:
        tasks[one.task_id] = merge(tasks.get(one.task_id), one)
    sums = RollupSums([count_task(task, project(task)) for task in tasks.values()], now)
    tables: dict[Any, dict[str, dict[str, int]]] = {}
    for cell, number in sums.numbers.items():
        for table, row, code in list_counters(cell):
            numbers = tables.setdefault(table, {}).setdefault(row, {})
            numbers[code] = numbers.get(code, 0) + number
    minutes = sorted({at for _, at in tables})
    return [
        make_rollup(at, names[""], names, tables.get(("queue", at), {}))
        for at in minutes
        if (names := tables["name", at])
    ]


@st.composite
def over_minutes(draw: st.DrawFn) -> Event:
    """Draw an event of any of three minutes, now and then one of asking."""
    drawn = draw(an_event())
    at = NOW + draw(st.sampled_from([0, 1, 59.9999, 60, 125]))
    runtime = draw(st.sampled_from([None, 0.5, 3.0]))
    changed: dict[str, Any] = {"at": at, "runtime": runtime}
    # Not the result backend: what it repeats is not stored, so the order matters.
    if drawn.kind == "started":
        changed["source"] = draw(st.sampled_from(["event"] * 4 + ["inspect"]))
    elif drawn.kind == "cancelled":
        changed |= {"kind": "lost", "source": "inferred", "host": ""}
    fields = {name: getattr(drawn, name) for name in drawn.__struct_fields__}
    return Event(**{**fields, **changed})


@settings(RELAXED, max_examples=15)
@given(batches=st.lists(st.lists(over_minutes(), max_size=8), max_size=8))
def test_minutes_equal_what_the_final_tasks_count(
    lab: Lab, batches: list[list[Event]]
) -> None:
    async def main() -> None:
        here = lab.fresh()
        async with here.open() as one, here.open() as other:
            for number, batch in enumerate(batches):
                await (other if number % 2 else one).store(batch, now=NOW + 300)
            events = [event for batch in batches for event in batch]
            found = await one.read_rollups(NOW - HOUR, NOW + HOUR, parts=True)
            assert found == expected(events, NOW + 300)
            assert len(await one.get_tasks(IDS)) == len(IDS)
        here.clean()

    asyncio.run(main())
