"""The short way to read a plain task leads where the long one does."""

import pytest
from hypothesis import example, given, settings

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import project_full
from herald_core.model.tasks.projection_fast import project_simple
from herald_core.model.tasks.task import Task
from tests.support.model.events import histories, known, story, tasks
from tests.support.model.random_tasks import nearly_plain


def same(task: Task) -> bool:
    plain = project_simple(task, "1-2.3")
    return plain is None or plain == project_full(task, "1-2.3")


@settings(max_examples=500, deadline=None)
@given(nearly_plain())
@example(known(story("sent:0 received:0 started succeeded")))
def test_both_ways_lead_to_the_same(task: Task) -> None:
    assert same(task)


@settings(max_examples=100, deadline=None)
@given(tasks)
def test_both_ways_lead_to_the_same_from_any_words(task: Task) -> None:
    assert same(task)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_both_ways_lead_to_the_same_through_whole_histories(told: list[Event]) -> None:
    for upto in range(1, len(told) + 1):
        assert same(known(told[:upto]))


@pytest.mark.parametrize(
    "words",
    [
        "sent:0",
        "received:0",
        "sent:0 received:0",
        "received:0 started",
        "sent:0 received:0 started succeeded",
        "sent:0 received:0 started failed",
        "received:0 succeeded",
    ],
)
def test_plain_tasks_go_the_short_way(words: str) -> None:
    assert project_simple(known(story(words)), None) is not None


@pytest.mark.parametrize(
    "words",
    [
        "started",
        "sent:0 started",
        "sent:0 received:1",
        "sent:1",
        "sent:1 received:0",
        "received:1",
        "received:0 started cancelled",
        "received:0 started rejected!",
        "sent:0 received:0 started retried",
        "received:0 started progress",
        "received:0 revoked",
        "received:0 received:0",
        "received:0 started succeeded failed",
    ],
)
def test_all_others_go_the_long_way(words: str) -> None:
    assert project_simple(known(story(words)), None) is None
