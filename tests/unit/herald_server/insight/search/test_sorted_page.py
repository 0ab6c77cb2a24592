"""Pages in the order of a value, out of tasks that come in any order."""

from random import Random

import pytest

from herald_core.errors import InvalidCursor
from herald_core.model.queries.task_query import Sort
from herald_core.model.tasks.views import TaskView
from herald_server.insight.search.sorted_page import SortedPage

TASKS = [TaskView(id=f"t{n}", runtime=None if n % 5 == 0 else n % 7) for n in range(30)]


def walk(sort: Sort, limit: int) -> list[str]:
    found: list[str] = []
    page: str | None = None
    while True:
        tasks = Random(limit).sample(TASKS, len(TASKS))
        sorted_page = SortedPage(sort, limit, 0.0, page)
        for begin in range(0, len(tasks), 4):
            sorted_page.add(filter(sorted_page.check, tasks[begin : begin + 4]))
        found += [task.id for task in sorted_page.list_tasks()]
        if (page := sorted_page.make_token()) is None:
            return found


@pytest.mark.parametrize("limit", [1, 4, 30, 100])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_each_task_once_in_order(limit: int, descending: bool) -> None:
    sign = -1 if descending else 1

    def order(task: TaskView) -> tuple[bool, float, str]:
        return task.runtime is None, sign * (task.runtime or 0.0), task.id

    expected = [task.id for task in sorted(TASKS, key=order)]
    assert walk(Sort("runtime", descending), limit) == expected


def test_tasks_that_arrive_do_not_shift_the_next_page() -> None:
    first = SortedPage(Sort("runtime"), 2, 0.0, None)
    known = [TaskView(id=str(n), runtime=float(n)) for n in range(5)]
    first.add(filter(first.check, known))
    second = SortedPage(Sort("runtime"), 2, 0.0, first.make_token())
    arrived = [TaskView(id=str(n), runtime=float(n)) for n in range(9)]
    second.add(filter(second.check, arrived))
    assert [task.id for task in second.list_tasks()] == ["2", "1"]


def test_only_what_may_be_on_the_page_is_to_be_added() -> None:
    page = SortedPage(Sort("runtime"), 2, 0.0, None)
    tasks = [TaskView(id=str(n), runtime=float(n)) for n in (5, 3, 4, 3, 9)]
    assert list(map(page.check, tasks)) == [True, True, True, False, True]
    assert page.check(tasks[-1])
    page.add(tasks)
    assert [task.id for task in page.list_tasks()] == ["9", "5"]


@pytest.mark.parametrize("page", ["nonsense", "é", "W10"])
def test_token_of_another_walk_is_refused(page: str) -> None:
    with pytest.raises(InvalidCursor, match="page token of this order"):
        SortedPage(Sort("runtime"), 2, 0.0, page)


def test_token_of_another_order_is_refused() -> None:
    first = SortedPage(Sort("runtime"), 1, 0.0, None)
    first.add(filter(first.check, TASKS))
    with pytest.raises(InvalidCursor):
        SortedPage(Sort("runtime", descending=False), 1, 0.0, first.make_token())
