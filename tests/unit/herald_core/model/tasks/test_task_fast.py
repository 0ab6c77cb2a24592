"""Merging several words at once comes to the same as one after the other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.task_fast import merge_batch
from tests.support.model.events import histories, known, story
from tests.support.model.random_tasks import under_load


@settings(max_examples=300, deadline=None)
@given(under_load() | histories(), st.integers(0, 8))
def test_together_is_as_one_after_the_other(told: list[Event], before: int) -> None:
    task: Task | None = known(told[:before]) if told[:before] else None
    if told[before:]:
        assert merge_batch(task, told[before:]) == known(told)


def test_what_tells_nothing_new_gives_the_same_object() -> None:
    task = known(told := story("received started succeeded"))
    assert merge_batch(task, told) is task
