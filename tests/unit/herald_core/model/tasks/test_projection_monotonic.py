"""What watchers are told of a task as its words arrive: it never goes back.

Workers' clocks are wrong by anything, messages are delivered again, workers die. What
is told after each word is held against what was told before, and in the end against
what really happened.
"""

from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.rollups.rollup_delta import count_task
from herald_core.model.tasks.projection import list_attempts, project
from herald_core.model.tasks.task import Task, merge
from herald_core.model.tasks.views import TaskView
from herald_core.store.mutations import make_event_mutations
from herald_core.store.records import StoredRecord
from tests.support.model.events import T0, found, known, shown, worker
from tests.support.model.installations import Installation

RANK = {"REJECTED": 1, "REVOKED": 2, "FAILURE": 3, "SUCCESS": 4}
STATE = {"succeeded": "SUCCESS", "failed": "FAILURE", "revoked!": "REVOKED"}

many = settings(max_examples=100, deadline=None, derandomize=True)


def told(events: list[Event]) -> list[TaskView]:
    """Return what is shown after each of `events`."""
    task: Task | None = None
    images: list[TaskView] = []
    for event in events:
        task = merge(task, event)
        images.append(project(task))
    return images


def complain(was: TaskView, now: TaskView) -> str:
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
    assert [one.attempt for one in list_attempts(known(lived.events))] == [
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


@many
@given(st.integers(0, 1 << 48), st.integers(1, 40))
def test_a_store_tells_nothing_twice_as_another(seed: int, steps: int) -> None:
    """Words of one moment, and of a second monitor that hears another order."""
    draw = Random(seed)
    lived = Installation(draw, at_once=True).live(steps)
    again = [
        msgspec.structs.replace(
            e, arrived_at=(e.arrived_at or 0.0) + draw.choice([-0.004, 0.4])
        )
        for e in lived.events
    ]
    heard = [e for pair in zip(lived.events, again, strict=True) for e in pair]
    known: StoredRecord | None = None
    images: list[TaskView] = []
    for event in heard:
        for wish in make_event_mutations([event], T0).values():
            if (draft := wish(known)) is not None:
                known = draft.to_record("1-1.0", 0)
                assert isinstance(draft.image, TaskView)
                images.append(draft.image)
                assert isinstance(draft.record, Task)
                assert project(draft.record) == draft.image
    for was, now in pairwise(images):
        assert (now.attempt or 0) >= (was.attempt or 0)
        assert now.final or not was.final or (now.attempt or 0) > (was.attempt or 0)


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


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("kind", ["succeeded", "failed"])
def test_a_result_of_another_workers_clock_ends_what_runs(
    kind: str, skew: float
) -> None:
    """B stored it, its events are lost, and the backend is asked a minute later."""
    running = worker("received started", "a", 0)
    stored_at = min(T0 + 20 + skew, T0 + 60)
    result = found(kind, stored_at - T0, arrived_at=T0 + 60)
    assert shown([*running, result]).state == STATE[kind]


@pytest.mark.parametrize("skew", SKEWS)
def test_a_result_of_the_run_before_does_not_end_what_runs(skew: float) -> None:
    """The worker that failed told its end, and the backend keeps that end."""
    first = worker("received started failed", "a", 0, skew=skew)
    again = worker("received started", "b", 30)
    stored_at = first[-1].worker_time or first[-1].at
    result = found(
        *("failed", min(stored_at, T0 + 60) - T0 - 0.01),
        arrived_at=T0 + 60,
        worker_time=stored_at - 0.01 if stored_at > T0 + 60 else None,
    )
    image = shown([*first, *again, result])
    assert (image.state, image.attempt, image.worker) == ("STARTED", 2, "b")
    assert shown([*first, result, *again]) == image


@pytest.mark.parametrize("skew", SKEWS)
def test_a_result_that_was_heard_before_a_run_is_of_another_one(skew: float) -> None:
    result = found("failed", min(skew, 2.0), arrived_at=T0 + 2)
    again = worker("received started", "b", 30)
    assert shown([result, *again]).state == "STARTED"


def test_a_message_that_is_delivered_twice_was_submitted_once() -> None:
    events = [
        *worker("sent", "client", 0),
        *worker("received started", "a", 1),
        *worker("received started succeeded", "b", 90),
    ]
    task = known(events)
    counted = [word for _, _, _, word, *_ in count_task(task, project(task))]
    assert counted.count("submitted") == 1
    assert sum(count_task(task, project(task)).values()) == 6


def test_a_second_run_at_once_by_the_same_worker_is_not_ended_by_the_first() -> None:
    """With `result_extended` the backend names the worker that stored the result."""
    told = worker("received started succeeded received started", "a", 0)
    result = found("succeeded", 1.99, host="a", arrived_at=T0 + 9)
    assert shown([*told, result]).state == "STARTED"
    end = worker("succeeded", "a", 10, clock=6)
    image = shown([*told, result, *end])
    assert (image.state, image.attempt, image.source) == ("SUCCESS", 2, "event")
