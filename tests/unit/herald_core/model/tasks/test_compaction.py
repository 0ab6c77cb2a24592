"""Tasks of very many runs: words are let go of, and what is told stays the same."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import Event
from herald_core.model.rollups.rollup_delta import RollupDelta, count_task
from herald_core.model.tasks.compaction import MAX_MARKS, compact
from herald_core.model.tasks.projection import list_attempts, project
from herald_core.model.tasks.task import Task, join, merge
from herald_core.store.mutations import make_event_mutations
from herald_core.store.records import StoredRecord
from tests.support.model.events import T0, known, say, worker
from tests.support.model.installations import Installation

MANY = 120


def retried(times: int) -> list[Event]:
    """Return the words of a task that is retried by two workers in turn."""
    told: list[Event] = []
    for n in range(times):
        host, clock = "ab"[n % 2], 1 + 3 * n
        told.append(say(f"sent:{n}", n, at=T0 + 3 * n, pid=n))
        told += worker(f"received:{n} started retried", host, 3 * n, clock=clock)
    return told


def handed_back(times: int) -> list[Event]:
    """Return the words of a task that its worker hands back again and again."""
    words = "received started rejected!"
    return [
        *worker("sent", "client", 0),
        *(e for n in range(times) for e in worker(words, "a", 3 * n, clock=1 + 3 * n)),
    ]


def orphaned(times: int) -> list[Event]:
    """Return the words of a task that kills each worker."""
    return [
        event
        for n in range(times)
        for event in worker("received started", "a", 90 * n, pid=n)
    ]


def stored(events: list[Event], at_once: int = 1) -> tuple[Task, RollupDelta]:
    """Return what a store keeps of `events`, and what it has counted."""
    record: StoredRecord | None = None
    counted = RollupDelta()
    for i in range(0, len(events), at_once):
        wishes = make_event_mutations(events[i : i + at_once], T0)
        for wish in wishes.values():
            draft = wish(record)
            if draft is None:
                continue
            for cell, number in draft.make_rollup_delta().items():
                counted[cell] = counted.get(cell, 0) + number
            assert isinstance(draft.record, Task)
            record = draft.to_record("1-1.0", 0)
    assert record is not None
    assert isinstance(record.record, Task)
    return record.record, RollupDelta({c: n for c, n in counted.items() if n})


def words(counted: RollupDelta) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, _, _, word, *_), number in counted.items():
        found[word] = found.get(word, 0) + number
    return found


@pytest.mark.parametrize(("many", "at_once"), [(200, 1), (2_000, 70), (2_000, 700)])
def test_thousands_of_retries_count_exactly(many: int, at_once: int) -> None:
    end = worker(f"received:{many} started succeeded", "a", 3 * many, clock=9 * many)
    task, counted = stored([*retried(many), *end], at_once)
    image = project(task)
    assert (image.state, image.attempt, image.retries) == ("SUCCESS", many + 1, many)
    assert words(counted) == {
        **{word: many + 1 for word in ("received", "started")},
        **{"submitted": many, "retried": many, "succeeded": 1},
    }
    assert image.submitted_at == project(known(retried(1))).submitted_at


@pytest.mark.parametrize("at_once", [1, 7])
def test_thousands_of_redeliveries_count_exactly(at_once: int) -> None:
    task, counted = stored(handed_back(MANY), at_once)
    assert (project(task).state, project(task).attempt) == ("PENDING", MANY + 1)
    assert words(counted) == {
        **{word: MANY for word in ("received", "started", "rejected")},
        "submitted": 1,
    }


def test_a_task_that_kills_its_workers_counts_exactly() -> None:
    task, counted = stored(orphaned(MANY))
    assert (project(task).state, project(task).attempt) == ("STARTED", MANY)
    assert words(counted) == {"received": MANY, "started": MANY}


@pytest.mark.parametrize("told", [retried, handed_back, orphaned])
def test_a_record_does_not_grow_for_ever(told: Callable[[int], list[Event]]) -> None:
    events = told(MANY)
    task, _ = stored(events)
    assert len(task.marks) <= MAX_MARKS
    assert task.past is not None
    assert len(task.past.boots) <= 128
    runs = list_attempts(task)
    last = MANY + (told is handed_back)
    assert [r.attempt for r in runs] == [*range(last - len(runs) + 1, last + 1)]


@pytest.mark.parametrize("told", [retried, handed_back, orphaned])
def test_what_is_heard_again_counts_once(told: Callable[[int], list[Event]]) -> None:
    events = told(150)
    task, counted = stored(events)
    for event in events:
        assert merge(task, event) is task
    again, twice = stored([e for event in events for e in (event, event)])
    assert (again, twice) == (task, counted)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 48))
def test_what_is_shown_does_not_change(seed: int) -> None:
    """Drawn lives, made long enough; what follows is shown and counted the same."""
    draw = Random(seed)
    lived = Installation(draw, copies=draw.random() < 0.5).live(400)
    until = min(len(lived.events), MAX_MARKS + draw.randint(1, 99))
    whole = known(lived.events[:until])
    small = compact(whole)
    before = count_task(whole, project(whole))
    assert project(small) == project(whole)
    assert compact(small) is small
    left = count_task(small, project(small))
    gone = {cell: n - left.get(cell, 0) for cell, n in before.items()}
    assert all(number >= 0 for number in gone.values())
    for event in lived.events[until:]:
        whole, small = merge(whole, event), merge(small, event)
        assert project(small) == project(whole)


def test_joining_what_was_let_go_of_does_not_bring_it_back() -> None:
    whole = known(retried(100))
    small = compact(whole)
    assert small is not whole
    assert join(small, whole) == join(whole, small) == small
    assert join(small, small) is small


def test_runs_whose_reception_was_lost_are_let_go_of_as_well() -> None:
    told = [
        event
        for n in range(MANY)
        for event in worker("started retried", "a", 3 * n, clock=1 + 3 * n)
    ]
    small = compact(known(told))
    assert len(small.marks) <= MAX_MARKS
    assert small.past is not None
    assert small.past.boots
