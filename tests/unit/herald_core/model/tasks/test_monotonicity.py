"""What a store tells of a task never goes back, however its events arrive.

Events arrive in order, by two ways, late, in other batches, or not at all; answers of
backend and workers come between. In the end it is shown as if all had come in order.
"""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.tasks.attempts import find_deliveries
from herald_core.model.tasks.monotonicity import is_regression
from herald_core.model.tasks.past_deliveries import make_delivery_key
from herald_core.model.tasks.projection import list_attempts
from herald_core.model.tasks.task import Task, join
from herald_core.model.tasks.views import TaskView, to_dict
from tests.support.model.events import T0, found, say, shown, worker
from tests.support.model.installations import Installation
from tests.support.model.receptions import Store, move_arrival, receive, store
from tests.support.model.view_history import find_regressions

many = settings(max_examples=150, deadline=None, derandomize=True)

WAYS: dict[str, dict[str, float | bool]] = {
    "in order": {},
    "twice": {"twice": 0.5},
    "late": {"late": True},
    "twice and late": {"twice": 0.5, "late": True},
    "with losses": {"lost": 0.15},
    "with answers": {"answers": True},
    "all": {"twice": 0.3, "late": True, "lost": 0.1, "answers": True},
}


def live(seed: int, steps: int) -> tuple[list[Event], Random]:
    draw = Random(seed)
    calm, named = draw.random() < 0.3, draw.random() < 0.5
    return Installation(draw, at_once=calm, named=named).live(steps).events, draw


def go_back(views: Sequence[TaskView]) -> list[str]:
    return find_regressions([to_dict(view) for view in views])


@pytest.mark.parametrize("way", WAYS)
@many
@given(st.integers(0, 1 << 48), st.integers(1, 30))
def test_no_view_goes_back(way: str, seed: int, steps: int) -> None:
    events, draw = live(seed, steps)
    kept = store(receive(events, draw, **WAYS[way]))  # type: ignore[arg-type]
    assert go_back(kept.views) == []


@pytest.mark.parametrize("way", ["twice", "late", "twice and late"])
@many
@given(st.integers(0, 1 << 48), st.integers(1, 30))
def test_the_end_is_that_of_all_events_in_order(
    way: str, seed: int, steps: int
) -> None:
    """The attempt may be higher: a number that was shown is not taken back."""
    events, draw = live(seed, steps)
    kept = store(receive(events, draw, **WAYS[way]))  # type: ignore[arg-type]
    last, truth = kept.views[-1], shown(events)
    assert (last.state, last.conflict) == (truth.state, truth.conflict)
    assert (last.attempt or 0) >= (truth.attempt or 0)


@many
@given(st.integers(0, 1 << 48), st.integers(1, 30))
def test_each_number_names_one_run(seed: int, steps: int) -> None:
    events, draw = live(seed, steps)
    kept, numbers = Store(), dict[str, int]()
    for batch in receive(events, draw, late=True):
        kept.take(batch)
        runs = find_deliveries(kept.task.marks, kept.task.past)
        now = {make_delivery_key(run): run.number for run in runs if run.is_started}
        assert len(set(now.values())) == len(now)
        assert all(number >= numbers.get(key, 0) for key, number in now.items())
        numbers |= now
        listed = [one.attempt for one in list_attempts(kept.task)]
        assert listed == sorted(set(listed))


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 48))
def test_a_task_that_is_compacted_does_not_go_back(seed: int) -> None:
    """Of hundreds of runs at once most are removed. `Store` compares what is stored."""
    draw = Random(seed)
    events = Installation(draw, ends=0.03).live(500).events
    kept = store(receive(events, draw, twice=0.3, late=True))
    assert go_back(kept.views) == []
    last, truth = kept.views[-1], shown(events)
    assert last.state == truth.state
    assert (last.attempt or 0) >= (truth.attempt or 0)


@many
@given(st.integers(0, 1 << 48), st.integers(1, 20), st.integers(0, 99))
def test_what_was_shown_joins_in_any_order(seed: int, steps: int, by: int) -> None:
    """Two stores each saw a part, and each keeps numbers of its own."""
    events, draw = live(seed, steps)
    batches = receive(events, draw, twice=0.5, late=True)
    parts: list[list[list[Event]]] = [[], [], []]
    for batch in batches:
        draw.choice(parts).append(batch)
    a, b, c = (store(part).task if part else Task("t1") for part in parts)
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    whole = join(a, b)
    assert join(whole, a) is whole
    assert join(whole, whole) is whole


# ---- what watchers were shown -----------------------------------------------------


def told(*events: Event) -> list[tuple[str, int | None]]:
    """Return state and attempt of each view, of events that are stored one by one."""
    kept = store([[event] for event in events])
    assert go_back(kept.views) == []
    return [(view.state, view.attempt) for view in kept.views]


def test_a_returned_message_waits_for_the_next_attempt() -> None:
    views = store(
        [[e] for e in worker("received started rejected! received", "a", 0)]
    ).views
    assert [(v.state, v.attempt, v.worker) for v in views] == [
        *(("RECEIVED", 1, "a"), ("STARTED", 1, "a")),
        *(("PENDING", 2, None), ("RECEIVED", 2, "a")),
    ]
    assert (views[2].started_at, views[2].received_at, views[2].pid) == (None,) * 3
    assert views[2].submitted_at == views[0].submitted_at


def test_the_awaited_attempt_is_listed() -> None:
    kept = store([worker("received started rejected!", "a", 0)])
    assert [(a.attempt, a.state, a.worker) for a in list_attempts(kept.task)] == [
        (1, "PENDING", "a"),
        (2, "PENDING", None),
    ]


def test_a_lost_delivery_waits_for_the_next_attempt() -> None:
    """Its message was not acknowledged."""
    first = worker("received started", "a", 0)
    lost = found("lost", 90, "inferred", host="a", flag=True)
    again = worker("received started succeeded", "b", 100)
    assert told(*first, lost, *again) == [
        *(("RECEIVED", 1), ("STARTED", 1), ("PENDING", 2)),
        *(("RECEIVED", 2), ("STARTED", 2), ("SUCCESS", 2)),
    ]


def test_a_lost_delivery_that_ends_after_all() -> None:
    first = worker("received started", "a", 0)
    lost = found("lost", 90, "inferred", host="a", flag=True)
    end = say("succeeded", 3, host="a", at=T0 + 100)
    assert told(*first, lost, end)[-2:] == [("PENDING", 2), ("SUCCESS", 2)]


def test_a_lost_task_goes_on_in_its_attempt() -> None:
    first = worker("received started", "a", 0)
    lost = found("lost", 90, "inferred", host="a")
    end = say("succeeded", 3, host="a", at=T0 + 100)
    assert told(*first, lost, end)[-3:] == [
        *(("STARTED", 1), ("LOST", 1), ("SUCCESS", 1)),
    ]


def test_a_lost_retry_that_runs_after_all_is_the_next_attempt() -> None:
    """The worker that took the message is only found by asking."""
    first = worker("received started retried", "a", 0)
    lost = found("lost", 90, "inferred", host="a")
    running = found("started", 95, "inspect", host="b", pid=7)
    assert told(*first, lost, running)[-3:] == [
        *(("RETRY", 1), ("LOST", 1), ("STARTED", 2)),
    ]


def test_a_worker_whose_list_is_behind_does_not_restart_a_retry() -> None:
    """Of the end of the run only the backend told, which stores before the worker."""
    retry = found("retried", 1.0, arrived_at=T0 + 1.0)
    behind = found("started", 1.1, "inspect", host="a", pid=77)
    later = found("started", 9.0, "inspect", host="a", pid=77)
    assert told(retry, behind) == [("RETRY", None)] * 2
    # Which attempt it is nobody knows.
    assert told(retry, later) == [("RETRY", None), ("STARTED", None)]


def test_an_earlier_run_that_is_heard_of_late_takes_its_number() -> None:
    """The run that was shown is renumbered upwards; a number names no second run."""
    late = worker("received started", "a", 0)
    second = worker("received started succeeded", "b", 90)
    assert told(*second, *late)[-2:] == [("SUCCESS", 1), ("SUCCESS", 2)]


def test_a_run_that_seems_to_be_an_earlier_one_keeps_its_number() -> None:
    """A duplicate that arrived earlier turns the order of two runs."""
    a = worker("received started", "a", 0.0)
    b = worker("received started", "b", 0.1)
    early = move_arrival(b[1], -60.0)
    kept = store([[event] for event in [*a, *b, early]])
    assert go_back(kept.views) == []
    last = kept.views[-1]
    assert (last.state, last.worker, last.attempt) == ("STARTED", "a", 3)
    end = say("failed", 3, host="a", at=T0 + 9)
    again = worker("received started", "c", 20)
    for event in [end, *again]:
        kept.take([event])
    assert go_back(kept.views) == []
    assert (kept.views[-1].worker, kept.views[-1].attempt) == ("c", 4)
    listed = [(one.worker, one.attempt) for one in list_attempts(kept.task)]
    assert listed == [("b", 1), ("a", 3), ("c", 4)]


def test_a_later_attempt_is_followed_by_no_earlier_run() -> None:
    """The worker of the second run died; the third is returned to the queue."""
    views = told(
        *worker("received started succeeded", "a", 0),
        *worker("received started", "a", 10, pid=2),
        *worker("received started rejected!", "b", 20),
    )
    assert views[-3:] == [("STARTED", 2), ("STARTED", 3), ("SUCCESS", 3)]


def test_a_task_without_an_attempt_never_goes_back() -> None:
    image = TaskView(id="t", state="PENDING")
    assert not is_regression(image, image)


def test_a_lost_message_is_not_followed_by_its_sending() -> None:
    """A worker had received it, and the attempt is the same."""
    lost = TaskView(
        id="t", state="LOST", attempt=1, received_at="2026-01-31T12:00:00.000Z"
    )
    assert is_regression(lost, TaskView(id="t", state="PENDING", attempt=1))
    sent = TaskView(id="t", state="LOST", attempt=1)
    assert not is_regression(sent, TaskView(id="t", state="PENDING", attempt=1))


def test_runs_without_a_start_are_not_told_apart() -> None:
    """A worker that was asked names no time."""
    running = TaskView(
        id="t", state="STARTED", attempt=1, started_at="2026-01-31T12:00:00.000Z"
    )
    unknown = TaskView(id="t", state="STARTED", attempt=1, worker="a")
    assert not is_regression(running, unknown)
    assert not is_regression(unknown, unknown)


def test_a_run_that_was_lost_is_not_followed_by_its_reception() -> None:
    at = "2026-01-01T00:00:00.000Z"
    lost = TaskView(id="t", state="LOST", attempt=1, received_at=at, started_at=at)
    received = TaskView(id="t", state="RECEIVED", attempt=1, received_at=at)
    assert is_regression(lost, received)
    assert not is_regression(received, lost)
