"""What watchers are told of a task as its words arrive: it never goes back.

Workers' clocks are wrong by anything, messages are delivered again, workers die. What
is told after each word is held against what was told before, and in the end against
what really happened.
"""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_monitor.model.events import Event
from herald_monitor.model.reading import attempts, read
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tasks import Task, merge
from tests.unit.model.installations import Installation
from tests.unit.model.words import known, shown, worker

RANK = {"REJECTED": 1, "REVOKED": 2, "FAILURE": 3, "SUCCESS": 4}
STATE = {"succeeded": "SUCCESS", "failed": "FAILURE", "revoked!": "REVOKED"}

many = settings(max_examples=100, deadline=None)


def told(events: list[Event]) -> list[TaskImage]:
    """Return what is shown after each of `events`."""
    task: Task | None = None
    images: list[TaskImage] = []
    for event in events:
        task = merge(task, event)
        images.append(read(task))
    return images


def complain(was: TaskImage, now: TaskImage) -> str:
    """Return what went back from `was` to `now`."""
    before, after = was.attempt or 0, now.attempt or 0
    if after < before:
        return f"attempt {before} became {after}"
    if was.final and after == before and RANK.get(now.state, 0) < RANK[was.state]:
        return f"{was.state} of attempt {before} became {now.state}"
    return ""


def complaints(events: list[Event]) -> list[str]:
    images = told(events)
    found = [complain(a, b) for a, b in pairwise(images)]
    return [one for one in found if one]


@many
@given(st.integers(0, 1 << 48), st.integers(1, 40))
def test_nothing_goes_back_whatever_happens(seed: int, steps: int) -> None:
    lived = Installation(Random(seed)).live(steps)
    assert complaints(lived.events) == []


@many
@given(st.integers(0, 1 << 48), st.integers(1, 40))
def test_in_the_end_it_is_shown_as_it_was(seed: int, steps: int) -> None:
    """A worker that dies while another has a copy says nothing: that is asked for."""
    lived = Installation(Random(seed), deaths=False, at_once=True).live(steps)
    image = shown(lived.events)
    assert image.final
    assert image.state in {STATE[end] for end in lived.ends}
    assert (image.state == "SUCCESS") == ("succeeded" in lived.ends)
    assert [one.attempt for one in attempts(known(lived.events))] == [
        *range(1, lived.begun + 1)
    ]


@many
@given(st.integers(0, 1 << 48), st.integers(1, 40))
def test_without_copies_it_ends_in_its_last_run(seed: int, steps: int) -> None:
    lived = Installation(Random(seed), copies=False, at_once=True).live(steps)
    image = shown(lived.events)
    assert (image.state, image.attempt) == (STATE[lived.ends[0]], lived.begun)
    assert not image.conflict


@many
@given(st.integers(0, 1 << 48), st.integers(1, 30), st.integers(0, 99))
def test_any_order_of_merging_tells_the_same(seed: int, steps: int, by: int) -> None:
    lived = Installation(Random(seed)).live(steps)
    shuffled = Random(by).sample(lived.events, len(lived.events))
    assert known(shuffled) == known(lived.events)


SKEWS = [0.0, -0.02, -120.0, -200_000.0, 0.02, 120.0, 200_000.0]


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("end", ["succeeded", "failed", "revoked!"])
@pytest.mark.parametrize("back", ["rejected!", "cancelled"])
def test_what_was_handed_back_ends_with_another_worker(
    back: str, end: str, skew: float
) -> None:
    events = [
        *worker(f"received started {back}", "a", 0),
        *worker(f"received started {end}", "b", 3, skew=skew),
    ]
    image = shown(events)
    assert (image.state, image.attempt, image.worker) == (STATE[end], 2, "b")
    assert complaints(events) == []


@pytest.mark.parametrize("skew", SKEWS)
def test_a_copy_that_begins_after_the_end_is_another_attempt(skew: float) -> None:
    first = worker("received started", "a", 0)
    events = [
        *first,
        *worker("received", "b", 5, skew=skew),
        *worker("failed", "a", 6, clock=3),
        *worker("started failed", "b", 7, skew=skew, clock=2),
    ]
    states = [(one.state, one.attempt) for one in told(events)]
    assert states == [
        *(("RECEIVED", 1), ("STARTED", 1), ("STARTED", 1), ("FAILURE", 1)),
        *(("STARTED", 2), ("FAILURE", 2)),
    ]


def test_a_failure_does_not_end_what_another_worker_runs() -> None:
    events = [
        *worker("received started", "a", 0),
        *worker("received started", "b", 5),
        *worker("failed", "a", 8, clock=3),
    ]
    image = shown(events)
    assert (image.state, image.attempt, image.worker) == ("STARTED", 2, "b")


def test_copies_that_wait_are_one_attempt_until_they_are_begun() -> None:
    """A countdown beyond Redis' visibility timeout: every worker has a copy."""
    hosts = "abcde"
    events = [e for i, h in enumerate(hosts) for e in worker("received", h, i)]
    for i, host in enumerate(hosts):
        events += worker("started succeeded", host, 10 + 2 * i, clock=2)
    assert [one.attempt for one in told(events)] == [
        *([1] * 5),
        *(number for number in range(1, 6) for _ in range(2)),
    ]
    assert complaints(events) == []
