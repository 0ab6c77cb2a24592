"""The short way to read a plain task leads where the long one does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herald_monitor.model.events import Event
from herald_monitor.model.plain import read_plain
from herald_monitor.model.reading import read_through
from herald_monitor.model.tasks import Task
from tests.unit.model.words import T0, histories, known, say, story, tasks

PLAIN = ["sent:0", "received:0", "started", "succeeded", "failed"]
ODD = ["sent:1", "received:1", "retried", "revoked", "rejected!", "progress"]


@st.composite
def nearly_plain(draw: st.DrawFn) -> Task:
    """Draw a task that is plain, or differs from a plain one in a thing or two."""
    clock = st.integers(0, 5)
    told: list[Event] = []
    for place, word in enumerate(draw(st.permutations(PLAIN))[:4]):
        if draw(st.integers(0, 9)) == 0:
            word = draw(st.sampled_from(ODD))
        told.append(
            say(
                word,
                PLAIN.index(word) if word in PLAIN and draw(st.booleans()) else place,
                host=draw(st.sampled_from(["w1", "w1", "w1", "w1", "w2", ""])),
                pid=draw(st.sampled_from([1, 1, 1, 1, 2, 0])),
                at=T0 + draw(clock) * draw(st.sampled_from([0.001, 0.4, 1.1])),
                heard=T0 + draw(clock),
                said=draw(st.sampled_from([None, None, T0 + 2.0])),
                eta=draw(st.sampled_from([None, 0.0, T0 + 9])),
                expires=draw(st.sampled_from([None, 0.0, T0 + 8, T0 + 9])),
                runtime=draw(st.sampled_from([None, 0.0, 0.1234567])),
                result=draw(st.sampled_from([None, "5"])),
                exception=draw(st.sampled_from([None, "ValueError()"])),
                traceback=draw(st.sampled_from([None, "Traceback"])),
                name=draw(st.sampled_from([None, "a"])),
                tags=draw(st.sampled_from([None, None, None, ("x",)])),
                source=draw(st.sampled_from(["event"] * 9 + ["submitted", "backend"])),
            )
        )
    return known(told)


def same(task: Task) -> bool:
    plain = read_plain(task, "1-2.3")
    return plain is None or plain == read_through(task, "1-2.3")


@settings(max_examples=1000, deadline=None)
@given(nearly_plain())
@example(known(story("sent:0 received:0 started succeeded")))
def test_both_ways_lead_to_the_same(task: Task) -> None:
    assert same(task)


@settings(max_examples=200, deadline=None)
@given(tasks)
def test_both_ways_lead_to_the_same_from_any_words(task: Task) -> None:
    assert same(task)


@settings(max_examples=200, deadline=None)
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
    assert read_plain(known(story(words)), None) is not None


@pytest.mark.parametrize(
    "words",
    [
        "started",
        "sent:0 started",
        "sent:0 received:1",
        "sent:0 received:0 started retried",
        "received:0 started progress",
        "received:0 revoked",
        "received:0 received:0",
        "received:0 started succeeded failed",
    ],
)
def test_all_others_go_the_long_way(words: str) -> None:
    assert read_plain(known(story(words)), None) is None
