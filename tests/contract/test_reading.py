"""Answers: single tasks, pages, counts."""

import pytest

from herald_core.errors import InvalidCursor
from herald_core.model.filters import Filter
from herald_core.store.page_tokens import encode_token
from tests.support.store.labs import NOW, Lab, event, walk
from tests.support.store.records import life

pytestmark = pytest.mark.anyio


async def test_an_id_never_heard_of_is_unknown(lab: Lab) -> None:
    async with lab.open() as store:
        assert (await store.get_task("never")).state == "UNKNOWN"
        assert await store.list_attempts("never") == []
        assert await store.get_tasks(["never", "nor"]) == [None, None]
        assert await store.get_tasks([]) == []


async def test_attempts_are_told_oldest_first(lab: Lab) -> None:
    events = [
        event("received", "a", 1, retries=0),
        event("started", "a", 2),
        event("retried", "a", 3),
        event("received", "a", 4, retries=1),
        event("started", "a", 5),
    ]
    async with lab.open() as store:
        await store.store(events, now=NOW)
        told = await store.list_attempts("a")
        assert [(one.attempt, one.state) for one in told] == [
            (1, "RETRY"),
            (2, "STARTED"),
        ]


async def test_an_empty_store_has_one_empty_page(lab: Lab) -> None:
    async with lab.open() as store:
        page = await store.list_tasks(Filter())
        assert (page.tasks, page.next) == ((), None)
        assert await store.count_by_state() == {}
        assert await store.count_tasks(Filter(), 10) == 0


async def test_tasks_of_a_batch_come_newest_first(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([*life("a"), *life("b")], now=NOW)
        await store.store(life("c"), now=NOW + 1)
        assert [task.id for task in await walk(store, Filter())] == ["c", "b", "a"]


async def test_a_change_does_not_move_a_task(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(life("a")[:1], now=NOW)
        await store.store(life("b")[:1], now=NOW + 1)
        await store.store(life("a")[1:], now=NOW + 2)
        assert [task.id for task in await walk(store, Filter(), 1)] == ["b", "a"]


async def test_tasks_of_one_moment_are_all_paged(lab: Lab) -> None:
    """Each batch at the same time: the same score many times."""
    ids = [f"t{n:03}" for n in range(120)]
    async with lab.open() as store:
        for id_ in ids:
            await store.store([event("received", id_)], now=NOW)
        found = [task.id for task in await walk(store, Filter(), 7)]
        assert found == sorted(ids, reverse=True)
        by_worker = await walk(store, Filter(worker=("w1@h",), state=("RECEIVED",)), 7)
        assert [task.id for task in by_worker] == found


async def test_more_tasks_of_one_moment_than_a_chunk_are_paged(redis_lab: Lab) -> None:
    ids = [f"t{n:04}" for n in range(600)]
    async with redis_lab.open() as store:
        for id_ in ids:
            await store.store([event("received", id_)], now=NOW)
        found = [task.id for task in await walk(store, Filter(name=None), 100)]
        assert found == sorted(ids, reverse=True)


async def test_a_walk_meets_each_task_once_while_states_change(lab: Lab) -> None:
    ids = [f"t{n:03}" for n in range(60)]
    async with lab.open() as store, lab.open() as other:
        await store.store([event("received", id_, 1) for id_ in ids], now=NOW)
        filter_ = Filter(state=("RECEIVED", "STARTED", "SUCCESS"))
        found: list[str] = []
        page, clock = None, 2
        while True:
            got = await store.list_tasks(filter_, limit=7, page=page)
            found += [task.id for task in got.tasks]
            if (page := got.next) is None:
                break
            kind = "started" if clock % 2 else "succeeded"
            changed = [event(kind, id_, clock) for id_ in ids[clock % 3 :: 3]]
            new = [event("received", f"new{clock}")]
            await other.store([*changed, *new], now=NOW + clock)
            clock += 1
        # Of one moment, partitions do not know each other's order.
        found = sorted(found, reverse=True) if lab.parts > 1 else found
        assert found == sorted(ids, reverse=True)


async def test_after_and_before_bound_the_first_hearing(lab: Lab) -> None:
    async with lab.open() as store:
        for number, id_ in enumerate("abcd"):
            await store.store(life(id_), now=NOW + number)

        async def between(**bounds: float) -> str:
            return "".join(t.id for t in await walk(store, Filter(), 1, **bounds))

        assert await between(after=NOW + 1) == "dcb"
        assert await between(before=NOW + 2) == "ba"
        assert await between(after=NOW + 1, before=NOW + 3) == "cb"
        assert await between(after=NOW + 9) == ""


async def test_times_bound_tasks_of_many_segments(redis_lab: Lab) -> None:
    """Clocks of two monitors differ: what comes later may bear an earlier time."""
    times = {"a": 10.0, "b": 4.0, "c": 20.0}
    async with redis_lab.open() as store:
        for name, at in times.items():
            events = [event("received", f"{name}{n:03}") for n in range(150)]
            await store.store(events, now=NOW + at)
        for after, before, expected in ((0, 5, "b"), (5, 15, "a"), (4, 11, "ba")):
            found = await walk(
                store, Filter(), 40, after=NOW + after, before=NOW + before
            )
            assert [t.id[0] for t in found] == [n for n in expected for _ in range(150)]


async def test_a_root_is_found_with_its_tree(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([event("received", "root", name="r")], now=NOW)
        child = event("received", "child", root_id="root", parent_id="root")
        await store.store([child, event("received", "other")], now=NOW + 1)
        filter_ = Filter(root=("root",))
        assert [t.id for t in await walk(store, filter_, 1)] == ["child", "root"]
        assert await store.count_tasks(filter_, 10) == 2
        named = Filter(root=("root",), name=("r",))
        assert [t.id for t in await walk(store, named)] == ["root"]


async def test_ids_are_found_newest_first(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([*life("a"), *life("b"), *life("c")], now=NOW)
        filter_ = Filter(ids=("a", "nope", "c"))
        assert [task.id for task in await walk(store, filter_, 1)] == ["c", "a"]
        assert await store.count_tasks(filter_, 10) == 2


async def test_globs_find_names(lab: Lab) -> None:
    async with lab.open() as store:
        for number, name in enumerate(["mail.send", "mail.read", "maid", "*"]):
            await store.store([event("received", name, name=name)], now=NOW + number)

        async def named(*globs: str) -> list[str]:
            return [task.id for task in await walk(store, Filter(name=globs))]

        assert await named("mail.*") == ["mail.read", "mail.send"]
        assert await named("mai?") == ["maid"]
        assert await named("maid", "mail.s*") == ["maid", "mail.send"]
        assert len(await named("*")) == 4
        assert await named("none*") == []
        assert await store.count_tasks(Filter(name=("mai*",)), 10) == 3


async def test_a_glob_over_hundreds_of_names_still_answers(lab: Lab) -> None:
    events = [event("received", f"t{n:03}", name=f"n{n:03}") for n in range(300)]
    events.append(event("received", "other", name="m"))
    async with lab.open() as store:
        await store.store(events, now=NOW)
        assert len(await walk(store, Filter(name=("n*",)), 50)) == 300
        found = await walk(store, Filter(name=("n?7*",), state=("RECEIVED",)), 7)
        assert len(found) == 30
        assert await store.count_tasks(Filter(name=("n*",)), 1000) >= 300


async def test_counting_stops_above_what_was_asked_for(lab: Lab) -> None:
    tags = [("t1",), ("t2",), ("t1", "t2")]
    events = [event("received", f"t{n:03}", tags=tags[n % 3]) for n in range(90)]
    async with lab.open() as store:
        await store.store(events, now=NOW)
        assert await store.count_tasks(Filter(tag=("t1", "t2")), 1000) == 90
        assert await store.count_tasks(Filter(tag=("t1", "t2")), 10) > 10
        assert await store.count_tasks(Filter(state=("RECEIVED",)), 10) > 10


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "AAAA", "é", "%%%", "a" * 5000, "////", "=="),
        encode_token(1)[:-1],
        encode_token(1) + "A",
        encode_token(-1),
    ],
)
async def test_a_token_that_was_never_given_out_is_refused(
    lab: Lab, token: str
) -> None:
    async with lab.open() as store:
        with pytest.raises(InvalidCursor, match="page token"):
            await store.list_tasks(Filter(), page=token)


async def test_a_token_behind_a_forgotten_task_still_leads_on(lab: Lab) -> None:
    async with lab.open(retention=10) as store:
        await store.store([event("received", "a")], now=NOW)
        await store.store(life("b"), now=NOW)
        page = await store.list_tasks(Filter(), limit=1)
        assert [task.id for task in page.tasks] == ["b"]
        assert await store.expire_tasks(now=NOW + 11) == 1
        rest = await store.list_tasks(Filter(), limit=1, page=page.next)
        assert [task.id for task in rest.tasks] == ["a"]
