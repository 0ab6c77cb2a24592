"""Groups in the store: which there are, and whose membership was told beforehand."""

import pytest

from herald_core.store.redis import expiry
from tests.support.store.labs import NOW, Lab, event

pytestmark = pytest.mark.anyio


async def test_groups_are_listed_by_their_newest_member(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([event("sent", "1", group_id="a")], now=NOW)
        await store.store([event("sent", "2", group_id="b")], now=NOW + 1)
        await store.store([event("sent", "3")], now=NOW + 2)
        await store.store([event("received", "1")], now=NOW + 3)
        assert [name for name, _ in await store.list_groups(5)] == ["b", "a"]
        await store.store([event("sent", "4", group_id="a")], now=NOW + 4)
        [(name, at)] = await store.list_groups(1)
        assert (name, round(at, 3)) == ("a", NOW + 4)


async def test_only_the_newest_groups_are_listed(
    redis_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any producer can invent group ids."""
    monkeypatch.setattr(expiry, "MAX_GROUPS", 5)
    events = [event("sent", f"t{n}", n, group_id=f"g{n:02}") for n in range(40)]
    async with redis_lab.open() as store:
        for number, one in enumerate(events):
            await store.store([one], now=NOW + number)
        await store.expire_tasks(now=NOW + 50)
        listed = [name for name, _ in await store.list_groups(100)]
        assert listed == [f"g{n}" for n in range(39, 34, -1)]


async def test_a_membership_is_registered_or_known_from_the_result(lab: Lab) -> None:
    async with lab.open() as store:
        told = [
            event("sent", "herald", group_id="g", source="submitted"),
            event("received", "herald", group_id="g", retries=3),
            event("succeeded", "herald", group_id="g", source="backend", retries=3),
            event("sent", "producer", group_id="g"),
            event("sent", "late"),
            event("succeeded", "late", group_id="g", source="backend"),
            event("succeeded", "retried", group_id="g", source="backend", retries=3),
        ]
        await store.store(told, now=NOW)
        asked = ["herald", "producer", "late", "retried", "unknown"]
        assert await store.find_registered(asked) == {"herald"}
        assert await store.find_registered([]) == set()


async def test_the_members_of_a_group_are_counted_by_state(lab: Lab) -> None:
    async with lab.open() as store:
        told = [event("sent", f"t{n}", group_id="g") for n in range(300)]
        await store.store([*told, event("sent", "other", group_id="h")], now=NOW)
        ended = [event("succeeded", f"t{n}") for n in range(120)]
        await store.store(ended, now=NOW + 1)
        assert await store.count_group_by_state("g") == {"PENDING": 180, "SUCCESS": 120}
        assert await store.count_group_by_state("h") == {"PENDING": 1}
        assert await store.count_group_by_state("none") == {}
