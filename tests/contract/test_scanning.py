"""Scans: tasks by the texts in them, step by step."""

from random import Random

import pytest

from herald_core.errors import InvalidCursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.queries.needles import list_needles
from herald_core.model.queries.query_text import parse_query_text
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import Store
from tests.support.store.labs import NOW, Lab, event, walk
from tests.support.store.records import life

pytestmark = pytest.mark.anyio

LONG = "x" * 600
"""What makes a record so long that it is compressed."""


async def scan(
    store: Store, text: str, *, limit: int = 100, max_searched: int = 20_000
) -> tuple[list[TaskView], int]:
    """Return the tasks of all steps of a query, and how many were looked at."""
    query = parse_query_text(text, NOW)
    tasks: list[TaskView] = []
    searched, page = 0, None
    while True:
        step = await store.scan_tasks(
            query.filter,
            list_needles(query),
            lambda task: query.matches(task, NOW),
            limit=limit,
            max_searched=max_searched,
            page=page,
            after=query.after,
            before=query.before,
        )
        assert len(step.tasks) <= limit
        tasks += step.tasks
        searched, page = searched + step.searched, step.next
        if page is None:
            return tasks, searched


def order(task_id: str, number: int, **fields: str) -> list[Event]:
    return [
        event("received", task_id, 1, name="orders.charge", args=f"({number},)",
              kwargs=f"{{'order_id': {number}, 'city': 'Köln'}}"),
        event("started", task_id, 2),
        event("failed", task_id, 3, exception=f"TimeoutError('{task_id} is late')",
              traceback=f"File 'bank.py' {LONG}", **fields),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "1002",
        "kwargs.order_id:1002",
        "args.0:1002",
        "kwargs.city:köln kwargs.order_id:10*2",
        "KÖLN 1002",
        "id:b",
        "exception:timeouterror b",
        "text:BANK.PY 1002",
        "traceback:bank order 1002",
        "-1001 -1003",
    ],
)
async def test_a_text_is_found_in_each_place(lab: Lab, text: str) -> None:
    async with lab.open() as store:
        for number, id_ in ((1001, "a"), (1002, "b"), (1003, "c")):
            await store.store(order(id_, number), now=NOW + number)
        found, _ = await scan(store, text)
        assert [task.id for task in found] == ["b"]


async def test_unfinished_tasks_are_searched_too(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store(order("short", 7)[:1], now=NOW)
        long = event("received", "long", 1, args=f"(7, '{LONG}')")
        await store.store([long], now=NOW + 1)
        found, _ = await scan(store, "args.0:7")
        assert [task.id for task in found] == ["long", "short"]


async def test_steps_look_at_each_task_once_newest_first(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        for number in range(300):
            await store.store(order(f"t{number:03}", number), now=NOW + number)
        for limit, step in ((100, 20_000), (3, 20_000), (100, 7), (1, 1)):
            found, searched = await scan(
                store, "args.0:1*", limit=limit, max_searched=step
            )
            numbers = [n for n in range(300) if str(n).startswith("1")]
            assert [task.id for task in found] == [f"t{n:03}" for n in numbers[::-1]]
            assert searched == 300


async def test_steps_of_partitions_return_each_task_once(lab: Lab) -> None:
    async with lab.open() as store:
        for number in range(60):
            await store.store(order(f"t{number:02}", number), now=NOW + number)
        for limit, step in ((100, 20_000), (3, 20_000), (4, 6)):
            found, searched = await scan(store, "TimeoutError", limit=limit,
                                         max_searched=step)  # fmt: skip
            assert [task.id for task in found] == [
                f"t{n:02}" for n in range(59, -1, -1)
            ]
            assert searched >= 60


async def test_filter_and_arrival_limit_what_is_looked_at(lone_lab: Lab) -> None:
    async with lone_lab.open() as store:
        await store.store(order("a", 1), now=NOW)
        await store.store(order("b", 1), now=NOW + 1)
        await store.store(life("c"), now=NOW + 2)
        assert (await scan(store, "failed köln"))[1] == 2
        query = Filter(state=("FAILURE",))
        step = await store.scan_tasks(query, (), lambda _: True, after=NOW + 1)
        assert [task.id for task in step.tasks] == ["b"]
        step = await store.scan_tasks(query, (), lambda _: True, before=NOW + 1)
        assert [task.id for task in step.tasks] == ["a"]


async def test_tasks_without_the_texts_are_not_offered(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([*order("a", 1001), *order("b", 1002)], now=NOW)
        offered: list[str] = []

        def accept(task: TaskView) -> bool:
            offered.append(task.id)
            return True

        step = await store.scan_tasks(Filter(), (("1001", "9999"), ("köln",)), accept)
        assert offered == ["a"]
        assert [task.id for task in step.tasks] == ["a"]


async def test_deleted_tasks_are_not_found(lab: Lab) -> None:
    async with lab.open(retention=10) as store:
        await store.store(order("old", 1), now=NOW)
        await store.store(order("new", 2), now=NOW + 3600)
        await store.expire_tasks(now=NOW + 3601)
        found, _ = await scan(store, "köln")
        assert [task.id for task in found] == ["new"]


async def test_a_token_of_nobody_is_refused(lab: Lab) -> None:
    async with lab.open() as store:
        with pytest.raises(InvalidCursor):
            await store.scan_tasks(Filter(), (), lambda _: True, page="nonsense")


async def test_tokens_of_pages_and_scans_are_the_same(lab: Lab) -> None:
    async with lab.open() as store:
        for number in range(6):
            await store.store(order(f"t{number}", number), now=NOW + number)
        page = await store.list_tasks(Filter(), limit=2)
        step = await store.scan_tasks(
            Filter(), (), lambda _: True, page=page.next, limit=10
        )
        assert [task.id for task in step.tasks] == ["t3", "t2", "t1", "t0"]


async def test_count_of_a_range_of_arrivals_is_never_too_low(lab: Lab) -> None:
    async with lab.open() as store:
        for number in range(5):
            await store.store(order(f"t{number}", number), now=NOW + number)
        assert await store.count_tasks(Filter(), 100, after=NOW + 3) >= 2
        assert await store.count_tasks(Filter(), 100, before=NOW - 1) == 0


WORDS = ["1", "köl", "KÖLN", "bank", "order_id", "TIMEOUT", "t1", "late", "zzz"]
KEYS = ["", "-", "text:", "args:", "kwargs:", "error:", "id:", "kwargs.order_id:",
        "args.0:", "-args:", "result:", "-kwargs.city:"]  # fmt: skip


async def test_random_queries_find_what_matches(lab: Lab) -> None:
    random = Random(18)
    async with lab.open() as store:
        for number in range(40):
            events = order(f"t{number:02}", number % 13)
            await store.store(events[: random.randint(1, 3)], now=NOW + number)
        every = await walk(store, Filter())
        for _ in range(60):
            words = [random.choice(KEYS) + random.choice(WORDS) for _ in range(2)]
            text = " ".join(words[: random.randint(1, 2)])
            query = parse_query_text(text, NOW)
            found, _ = await scan(store, text, limit=random.choice([1, 5, 100]))
            expected = [task for task in every if query.matches(task, NOW)]
            assert found == expected, text
