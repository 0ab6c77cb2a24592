"""Merging several words at once comes to the same as one after the other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from herald_monitor.model.events import Event
from herald_monitor.model.tasks import Task
from herald_monitor.model.together import merge_all
from tests.unit.model.words import T0, histories, known, say, story

KINDS = ["sent:0", "received:0", "received:1", "started", "succeeded", "retried"]


@st.composite
def under_load(draw: st.DrawFn) -> list[Event]:
    """Draw words that mostly have places of their own, as under load."""
    words = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    clocks = draw(st.permutations(range(len(words) + 1)))
    return [
        say(
            word,
            clocks[i],
            host=draw(st.sampled_from(["client", "w1", "w2"])),
            name=draw(st.sampled_from([None, "a", "b"])),
            queue=draw(st.sampled_from([None, "q"])),
            tags=draw(st.sampled_from([None, ("x",), ("y",)])),
            heard=T0 + 9,
        )
        for i, word in enumerate(words)
    ]


@settings(max_examples=300, deadline=None)
@given(under_load() | histories(), st.integers(0, 8))
def test_together_is_as_one_after_the_other(told: list[Event], before: int) -> None:
    task: Task | None = known(told[:before]) if told[:before] else None
    if told[before:]:
        assert merge_all(task, told[before:]) == known(told)


def test_what_tells_nothing_new_gives_the_same_object() -> None:
    task = known(told := story("received started succeeded"))
    assert merge_all(task, told) is task
