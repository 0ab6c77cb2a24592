"""What tasks count for, and what is read from the counts."""

import math
from random import Random

import pytest
from hypothesis import given, settings

from herald_core.model.events.event import Event
from herald_core.model.rollups import rollup_delta as tallies
from herald_core.model.rollups.rollup import (
    Rollup,
    compute_percentile,
    merge_rollups,
    to_bucket,
)
from herald_core.model.rollups.rollup_delta import count_task, make_delta
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, merge
from tests.support.model.events import T0, histories, known, say, story
from tests.support.model.random_tasks import nearly_plain, under_load


def words_of(words: str) -> list[str]:
    """Return the words that a story of one worker counts for, sorted."""
    task = known(story(words))
    cells = count_task(task, project(task))
    return sorted(cell[3] for cell, n in cells.items() for _ in range(n))


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        ("sent received started succeeded", "received started submitted succeeded"),
        ("received started failed rejected", "failed received started"),
        ("received started rejected!", "received rejected started"),
        ("received started cancelled", "received retried started"),
        ("received revoked", "received revoked"),
        (
            "received:0 started retried received:1 started succeeded",
            "received received retried started started succeeded",
        ),
    ],
)
def test_words_of_a_story(words: str, counted: str) -> None:
    assert words_of(words) == counted.split()


@settings(max_examples=40)
@given(nearly_plain())
def test_the_short_way_counts_as_the_long_one(task: Task) -> None:
    image = project(task)
    short = tallies.list_simple_events(task, image)
    assert short is None or sorted(map(str, short)) == sorted(
        map(str, tallies.list_events(task, image))
    )


@given(histories() | under_load())
def test_differences_add_up_to_the_tally_of_the_end(history: list[Event]) -> None:
    sums: dict[tallies.RollupCell, int] = {}
    task: Task | None = None
    for event in history:
        new = merge(task, event)
        was = project(task) if task else None
        for cell, number in make_delta(task, was, new, project(new)).items():
            sums[cell] = sums.get(cell, 0) + number
        task = new
    if task is not None:
        assert {c: n for c, n in sums.items() if n} == count_task(task, project(task))


def test_what_was_heard_earlier_elsewhere_moves_to_its_minute() -> None:
    """Its clock runs ahead, so it counts when it was heard first."""
    late, early = (
        say("received", 1, at=T0 + at, arrived_at=T0 + at, worker_time=T0 + 300)
        for at in (70, 10)
    )
    before, after = known([late]), known([late, early])
    moved = make_delta(before, project(before), after, project(after))
    assert sorted(moved.values()) == [-1, 1]


@pytest.mark.parametrize("part", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_percentile_is_at_most_nine_percent_off(part: float) -> None:
    random = Random(5)
    took = sorted(random.lognormvariate(0, 2) + 0.001 for _ in range(999))
    runtimes: dict[int, int] = {}
    for seconds in took:
        runtimes[to_bucket(seconds)] = runtimes.get(to_bucket(seconds), 0) + 1
    true = took[max(math.ceil(part * len(took)), 1) - 1]
    told = compute_percentile(runtimes, part)
    assert told is not None
    assert abs(told / true - 1) < 0.0906


def test_no_runtimes_have_no_percentile() -> None:
    assert compute_percentile({}, 0.5) is None


def test_runtimes_without_end_lie_in_a_bucket() -> None:
    seconds = (-1.0, 0.0, 0.001, 0.0011, 1e9, 1e12, 1e308, math.inf)
    assert [to_bucket(s) for s in seconds] == [0, 0, 0, 1, 124, 124, 124, 124]


def test_minutes_add_up() -> None:
    one = Rollup(at=60, counts={"failed": 1}, runtimes={3: 2}, names={"a": {"lost": 1}})
    two = Rollup(at=120, counts={"failed": 2}, runtimes={3: 1}, queues={"q": {}})
    assert merge_rollups([one, two]) == Rollup(
        at=60,
        counts={"failed": 3},
        runtimes={3: 3},
        names={"a": {"lost": 1}},
        queues={"q": {}},
    )
