"""Pages that are read, and the end of a task that is followed."""

import pytest

from herald_client.client.following import PageWalk, TaskTracker, make_protocol
from herald_client.errors import RecordExpired
from herald_client.models.answers import TaskList
from herald_client.models.changes import Change, Gone, Put
from herald_core.model.tasks.views import TaskView

TASKS = [TaskView(id=str(n), state="SUCCESS") for n in range(3)]


def test_pages_follow_each_other_until_there_is_no_next_one() -> None:
    walk = PageWalk(None)
    assert walk.plan_page() == {"limit": 200, "page": None}
    walk.add(TaskList(TASKS, next="p2"))
    assert walk.plan_page() == {"limit": 200, "page": "p2"}
    walk.add(TaskList([]))
    assert walk.plan_page() is None


def test_no_more_are_read_than_are_wanted() -> None:
    walk = PageWalk(4)
    walk.add(TaskList(TASKS, next="p2"))
    assert walk.plan_page() == {"limit": 1, "page": "p2"}
    walk.add(TaskList(TASKS[:1], next="p3"))
    assert walk.plan_page() is None


def view(state: str, rev: str = "1-1.0") -> TaskView:
    return TaskView(id="a", state=state, rev=rev, final=state == "SUCCESS")


@pytest.mark.parametrize(
    ("change", "told", "stops"),
    [
        (Put(view("STARTED")), False, False),
        (Put(view("STARTED", "1-2.0")), True, False),
        (Put(view("SUCCESS", "1-2.0")), True, True),
        (Gone("a"), False, True),
    ],
)
def test_each_change_is_told_once_up_to_the_end(
    change: Change[TaskView], told: bool, stops: bool
) -> None:
    found, over = TaskTracker(view("STARTED")).receive(change)
    assert (found is not None, over) == (told, stops)


@pytest.mark.parametrize("state", ["STARTED", "EXPIRED"])
def test_a_record_that_ran_out_is_an_error(state: str) -> None:
    with pytest.raises(RecordExpired, match="ran out"):
        TaskTracker(view(state)).check()
    TaskTracker(view("SUCCESS")).check()


def test_a_subscription_asks_for_what_watch_was_given() -> None:
    frame = make_protocol("tasks", {"state": ["FAILURE"]}, 5, True, "1-4").begin()
    assert '"limit":5' in frame
    assert '"mode":"events"' in frame
    assert '"since":"1-4"' in frame
