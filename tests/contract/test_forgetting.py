"""What runs out, and how that is told."""

import asyncio

import pytest

from herald_core.model.cursor import START
from herald_core.model.filters import Filter
from herald_core.model.gaps import MAX_GAPS, Gap
from herald_core.model.tasks.views import to_rfc3339
from tests.support.store.labs import NOW, Lab, all_changes, event, walk
from tests.support.store.records import life, merged, stored

pytestmark = pytest.mark.anyio

DAY = 86_400.0


async def test_a_final_task_is_forgotten_after_its_retention(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        assert await store.expire_tasks(now=NOW + 59) == 0
        assert await store.expire_tasks(now=NOW + 61) == 1
        assert (await store.get_task("a")).state == "EXPIRED"
        assert await store.count_by_state() == {}
        assert await walk(store, Filter()) == []


async def test_an_unfinished_task_is_kept_longer(lab: Lab) -> None:
    async with lab.open(retention=60, keep_unfinished=DAY) as store:
        await store.store(life("a")[:3], now=NOW)
        assert await store.expire_tasks(now=NOW + DAY - 1) == 0
        assert await store.expire_tasks(now=NOW + DAY + 1) == 1


async def test_a_change_prolongs_the_life_of_a_task(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        await store.store([event("received", "a", 9, retries=1)], now=NOW + 50)
        await store.store([event("succeeded", "a", 10)], now=NOW + 50)
        assert await store.expire_tasks(now=NOW + 100) == 0


async def test_forgetting_is_announced_with_the_last_image(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        await store.expire_tasks(now=NOW + 61)
        *_, last = [change async for change in all_changes(store)]
        assert last.is_deletion
        assert last.task is not None
        assert (last.id, last.task.state) == ("a", "SUCCESS")
        assert last.before is not None
        assert last.before.state == "SUCCESS"


async def test_what_was_only_submitted_can_be_withdrawn(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        sent = [event("sent", id_, 1, source="submitted") for id_ in ("a", "b")]
        await store.store([*sent, *life("c")], now=NOW)
        await store.store([event("received", "b", 2)], now=NOW)
        assert await store.withdraw(["a", "b", "c", "d"]) == 1
        assert (await store.get_task("a")).state == "UNKNOWN"
        assert (await store.get_task("b")).state == "RECEIVED"
        assert (await store.get_task("c")).state == "SUCCESS"
        gone = [one.id async for one in all_changes(store) if one.is_deletion]
        assert gone == ["a"]


async def test_a_sweep_forgets_no_more_than_asked_for(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store([e for n in range(700) for e in life(f"t{n}")], now=NOW)
        assert await store.expire_tasks(now=NOW + 61, limit=500) == 500
        assert await store.count_by_state() == {"SUCCESS": 200}
        assert await store.expire_tasks(now=NOW + 61) == 200
        assert await store.expire_tasks(now=NOW + 61) == 0


async def test_a_sweep_goes_on_behind_tasks_that_were_prolonged(lab: Lab) -> None:
    ids = [f"t{n}" for n in range(384)]
    async with lab.open(retention=60) as store:
        await store.store([e for id_ in ids for e in life(id_)], now=NOW)
        again = [event("received", id_, 20, retries=1) for id_ in ids[:256]]
        await store.store(again, now=NOW + 50)
        assert await store.expire_tasks(now=NOW + 61) == 128


async def test_a_word_of_a_forgotten_task_brings_it_back(lab: Lab) -> None:
    async with lab.open(retention=60) as store, lab.open(retention=60) as other:
        await store.store(life("a"), now=NOW)
        await other.expire_tasks(now=NOW + 61)
        late = [event("received", "a", 20, retries=1)]
        assert (await store.store(late, now=NOW + 70)).changes == 1
        assert await stored(store, ["a"]) == merged(late)


async def test_sweeping_and_storing_at_once_agree(lab: Lab) -> None:
    """Whoever comes first, the store stays of one mind: see the audit."""
    ids = [f"t{n}" for n in range(200)]
    async with lab.open(retention=60) as one, lab.open(retention=60) as other:
        await one.store([e for id_ in ids for e in life(id_)], now=NOW)
        later = [event("received", id_, 9, retries=1) for id_ in ids]

        async def prolong() -> None:
            for at in range(0, 200, 20):
                await one.store(later[at : at + 20], now=NOW + 61)

        swept, again, _ = await asyncio.gather(
            other.expire_tasks(now=NOW + 61, limit=120),
            other.expire_tasks(now=NOW + 61),
            prolong(),
        )
        gone = [change async for change in all_changes(one) if change.is_deletion]
        assert len(gone) == swept + again
        assert sum((await one.count_by_state()).values()) == 200


async def test_records_that_ran_out_before_a_sweep_are_cleared_up(
    redis_lab: Lab,
) -> None:
    async with redis_lab.open(retention=60) as store:
        await store.store([*life("a"), *life("b")], now=NOW)
        with redis_lab.client() as client:
            client.delete(f"{redis_lab.prefix}:t2:a")  # as its TTL would
        assert (await store.get_task("a")).state == "UNKNOWN"
        assert await store.expire_tasks(now=NOW + 61) == 2
        assert (await store.get_task("a")).state == "EXPIRED"
        assert await store.count_by_state() == {}
        gone = [c.id async for c in all_changes(store) if c.is_deletion]
        assert sorted(gone) == ["a", "b"]


async def test_a_gap_is_announced_and_closed(lab: Lab) -> None:
    since = "2027-01-15T08:00:00.000Z"
    gap = Gap(id="g1", since=since, until=since, reason="broker lost", monitor="m1")
    closed = Gap(
        id="g1", since=since, until=since, reason="broker lost", state="closed"
    )
    async with lab.open() as store:
        assert (await store.open_gap(gap)).changes == 1
        assert (await store.open_gap(gap)).changes == 0
        assert (await store.open_gap(closed)).changes == 1
        assert [(g.id, g.state) for g in await store.list_gaps()] == [("g1", "closed")]
        kinds = [(c.kind, c.id) async for c in all_changes(store)]
        assert kinds == [("g", "g1"), ("g", "g1")]


async def test_gaps_are_told_newest_first_and_forgotten(lab: Lab) -> None:
    async with lab.open() as store:
        for day in (3, 1, 2):
            at = f"2027-01-0{day}T00:00:00.000Z"
            await store.open_gap(Gap(id=f"g{day}", since=at, until=at, reason="r"))
        assert [gap.id for gap in await store.list_gaps()] == ["g3", "g2", "g1"]
        await store.expire_tasks(
            now=1_798_761_600.0 + 8.5 * DAY
        )  # 2027-01-01, and 8.5 days
        assert [gap.id for gap in await store.list_gaps()] == ["g3"]


async def test_only_the_newest_gaps_are_kept(lab: Lab) -> None:
    async with lab.open(log_length=2 * MAX_GAPS) as store:
        for number in range(MAX_GAPS + 3):
            at = to_rfc3339(NOW + number)
            await store.open_gap(Gap(id=f"g{number}", since=at, until=at, reason="r"))
        await store.expire_tasks(now=NOW)
        gaps = [gap.id for gap in await store.list_gaps()]
        assert (len(gaps), gaps[0], gaps[-1]) == (MAX_GAPS, "g502", "g3")


async def test_an_open_log_of_nothing_but_gone_tasks_reads_well(lab: Lab) -> None:
    async with lab.open(retention=60) as store:
        await store.store(life("a"), now=NOW)
        await store.expire_tasks(now=NOW + 61)
        assert [len(entry.changes) for entry in await store.read_entries(START)] == [
            1,
            1,
        ]


async def test_a_number_whose_task_came_back_under_another_is_cleared(
    redis_lab: Lab,
) -> None:
    """Its record ran out by its TTL, and it was heard of again before any sweep."""
    async with redis_lab.open(retention=60) as store:
        await store.store([*life("a"), *life("b")], now=NOW)
        with redis_lab.client() as client:
            client.delete(f"{redis_lab.prefix}:t2:a")
        late = [event("received", "a", 20, retries=0)]
        # As a monitor that was not there when it was stored.
        other = redis_lab.make(retention=60)
        await other.open()
        await other.store(late, now=NOW + 50)
        await other.close()
        assert [t.id for t in await walk(store, Filter())] == ["a", "b"]
        await store.expire_tasks(now=NOW + 61)
        assert [t.id for t in await walk(store, Filter())] == ["a"]
        assert await store.count_by_state() == {"RECEIVED": 1}
        assert await stored(store, ["a"]) == merged(late)


async def test_records_of_the_format_before_are_left_alone(redis_lab: Lab) -> None:
    """They run out by themselves; so do their indexes."""
    prefix = redis_lab.prefix
    async with redis_lab.open(retention=60) as store:
        with redis_lab.client() as client:
            client.set(f"{prefix}:t:a", "1-0.0 1799999999000.0\nm\x90", ex=60)
            client.zadd(f"{prefix}:i:state:SUCCESS", {"a": 1.0})
            client.zadd(f"{prefix}:due", {"a": 1.0})
            client.expire(f"{prefix}:i:state:SUCCESS", 60)
        assert (await store.get_task("a")).state == "UNKNOWN"
        await store.store(life("a"), now=NOW)
        assert await store.expire_tasks(now=NOW + 61) == 1
        assert await walk(store, Filter()) == []
