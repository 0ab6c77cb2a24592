"""The short way to read a plain task leads where the long one does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herald_monitor.model.events import Event
from herald_monitor.model.plain import read_plain
from herald_monitor.model.reading import read_through
from herald_monitor.model.tasks import Task
from tests.unit.model.words import T0, histories, known, say, story, tasks

ODD = [
    *("sent:1", "received:1", "received:0", "retried", "revoked", "rejected!"),
    *("cancelled", "progress", "failed"),
]


@st.composite
def nearly_plain(draw: st.DrawFn) -> Task:
    """Draw a task that is plain, or differs from a plain one in a thing or two."""
    end = draw(st.sampled_from(["succeeded", "failed"]))
    words = [w for w in ("sent:0", "received:0", "started", end) if draw(MOSTLY)]
    if not words or draw(st.booleans()):
        # One word too many, or another in its place.
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.integers(0, 1))] = [draw(st.sampled_from(ODD))]
    return known(draw(told_of(word, place)) for place, word in enumerate(words))


MOSTLY = st.sampled_from([True] * 4 + [False])


def rarely(usual: object, *others: object) -> st.SearchStrategy[object]:
    return st.sampled_from([usual] * 40 + [*others])


def told_of(word: str, place: int) -> st.SearchStrategy[Event]:
    """Draw what is told `place`-th; the client that sends is called otherwise."""
    at = st.sampled_from([0.0] * 20 + [-1.2, -1.6, -2.3, 1.0])
    return st.builds(
        say,
        st.just(word),
        st.sampled_from([place] * 40 + [0, 1, 2]),
        host=rarely("client" if word.startswith("sent") else "w1", "w1", "w2", ""),
        pid=rarely(1, 2, 0),
        at=at.map(lambda late: T0 + place / 2 + late),
        heard=st.sampled_from([None, T0 + 5]),
        said=rarely(None, T0 + 2.0),
        eta=rarely(None, 0.0, T0 + 9),
        expires=rarely(None, 0.0, T0 + 8, T0 + 9),
        runtime=st.sampled_from([None, 0.0, 0.1234567]),
        result=st.sampled_from([None, "5"]),
        exception=st.sampled_from([None, "ValueError()"]),
        traceback=st.sampled_from([None, "Traceback"]),
        name=st.sampled_from([None, "a"]),
        tags=rarely(None, ("x",)),
        source=rarely("event", "submitted", "backend"),
    )


def same(task: Task) -> bool:
    plain = read_plain(task, "1-2.3")
    return plain is None or plain == read_through(task, "1-2.3")


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
    assert read_plain(known(story(words)), None) is not None


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
    assert read_plain(known(story(words)), None) is None
