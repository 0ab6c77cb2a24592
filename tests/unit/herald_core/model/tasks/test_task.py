"""`merge` and `join` do not care about order, repetition or grouping."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import list_attempts, project
from herald_core.model.tasks.task import Task, join, merge
from herald_core.model.tasks.views import FINAL_STATES, STATES
from tests.support.model.events import (
    T0,
    events,
    histories,
    joined,
    known,
    say,
    story,
    tasks,
)

few = settings(max_examples=60, deadline=None)


@few
@given(tasks, tasks)
def test_join_is_commutative(a: Task, b: Task) -> None:
    assert join(a, b) == join(b, a)


@few
@given(tasks, tasks, tasks)
def test_join_is_associative(a: Task, b: Task, c: Task) -> None:
    assert join(join(a, b), c) == join(a, join(b, c))


@few
@given(tasks)
def test_join_is_idempotent(a: Task) -> None:
    assert join(a, a) is a


@few
@given(tasks, tasks)
def test_what_tells_nothing_new_gives_the_same_object(a: Task, b: Task) -> None:
    """Writers take the same object for: nothing to store, nothing to announce."""
    both = join(a, b)
    assert join(both, a) is both
    assert join(both, b) is both


@few
@given(st.data(), histories())
def test_any_order_of_events_gives_the_same_task(
    data: st.DataObject, told: list[Event]
) -> None:
    shuffled = data.draw(st.permutations(told))
    assert known(shuffled) == known(told)


@few
@given(st.lists(histories(4), min_size=1, max_size=3))
def test_parts_heard_by_several_monitors_join_to_the_whole(
    parts: list[list[Event]],
) -> None:
    whole = known(event for part in parts for event in part)
    assert joined(known(part) for part in parts) == whole


@few
@given(tasks)
def test_every_task_can_be_read(task: Task) -> None:
    image = project(task, "1-2.3")
    assert image.state in STATES
    assert image.final == (image.state in FINAL_STATES)
    assert image.rev == "1-2.3"
    numbers = [one.attempt for one in list_attempts(task)]
    assert numbers == sorted(set(numbers))
    assert image.attempt is None or image.attempt in numbers


@few
@given(tasks, events)
def test_a_known_event_tells_nothing_new(task: Task, event: Event) -> None:
    once = merge(task, event)
    assert merge(once, event) is once


def test_one_event_heard_by_two_monitors_counts_from_its_first_hearing() -> None:
    early = say("started", 2, at=T0 + 1, worker_time=T0 + 60, arrived_at=T0 + 1)
    late = say("started", 2, at=T0 + 3, worker_time=T0 + 60, arrived_at=T0 + 3)
    assert known([late, early]) == known([early])


def test_a_later_attempt_is_believed_about_the_way_it_is_sent() -> None:
    first = say("sent:0", 1, queue="mail")
    second = say("sent:1", 4, queue="later")
    assert project(known([second, first])).queue == "later"


@pytest.mark.parametrize("later", ["received:1", "received:0", "sent:0"])
def test_a_task_is_shown_as_it_was_first_called(later: str) -> None:
    """Task.replace() runs another call under its id; both mixed was never called."""
    first = say("received:0", 1, name="report", args="(1,)", parent_id="p")
    second = say(later, 4, name="sum", args="(2,)", parent_id="child")
    image = project(known([second, first]))
    assert (image.name, image.args, image.parent_id) == ("report", "(1,)", "p")


def test_the_root_of_a_canvas_is_no_child_of_its_own_child() -> None:
    """It seems to be one where a chain or a chord replaced it."""
    told = [say("received", 1, root_id="t1"), *story("started", clock=2)]
    again = say("received", 5, root_id="t1", parent_id="child")
    assert project(known(told)).parent_id is None
    assert project(known([*told, again])).parent_id is None


def test_the_sender_is_believed_before_the_worker() -> None:
    sent = say("sent", 1, args="(1, 2)", queue="mail")
    received = say("received", 1, args="(1, ...)")
    image = project(known([received, sent]))
    assert (image.args, image.queue) == ("(1, 2)", "mail")


def test_facts_of_a_bare_end_are_not_asked_for() -> None:
    assert project(known([say("succeeded", 3, name="x")])).name is None
