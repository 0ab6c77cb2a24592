"""What tasks count for, and what is read from the counts."""

import math
from random import Random

import pytest
from hypothesis import given, settings

from herald_monitor.model import tally as tallies
from herald_monitor.model.events import Event
from herald_monitor.model.reading import read
from herald_monitor.model.rollups import Rollup, bucket_of, percentile, summed
from herald_monitor.model.tally import difference, tally
from herald_monitor.model.tasks import Task, merge
from tests.unit.model.test_plain import nearly_plain
from tests.unit.model.test_together import under_load
from tests.unit.model.words import T0, histories, known, say, story


def words_of(words: str) -> list[str]:
    """Return the words that a story of one worker counts for, sorted."""
    task = known(story(words))
    cells = tally(task, read(task))
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
    image = read(task)
    short = tallies.told_plainly(task, image)
    assert short is None or sorted(map(str, short)) == sorted(
        map(str, tallies.told_through(task, image))
    )


@given(histories() | under_load())
def test_differences_add_up_to_the_tally_of_the_end(history: list[Event]) -> None:
    sums: dict[tallies.Cell, int] = {}
    task: Task | None = None
    for event in history:
        new = merge(task, event)
        was = read(task) if task else None
        for cell, number in difference(task, was, new, read(new)).items():
            sums[cell] = sums.get(cell, 0) + number
        task = new
    if task is not None:
        assert {c: n for c, n in sums.items() if n} == tally(task, read(task))


def test_what_was_heard_earlier_elsewhere_moves_to_its_minute() -> None:
    """Its clock runs ahead, so it counts when it was heard first."""
    late, early = (
        say("received", 1, at=T0 + at, heard=T0 + at, said=T0 + 300) for at in (70, 10)
    )
    before, after = known([late]), known([late, early])
    moved = difference(before, read(before), after, read(after))
    assert sorted(moved.values()) == [-1, 1]


@pytest.mark.parametrize("part", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_percentile_is_at_most_nine_percent_off(part: float) -> None:
    random = Random(5)
    took = sorted(random.lognormvariate(0, 2) + 0.001 for _ in range(999))
    runtimes: dict[int, int] = {}
    for seconds in took:
        runtimes[bucket_of(seconds)] = runtimes.get(bucket_of(seconds), 0) + 1
    true = took[max(math.ceil(part * len(took)), 1) - 1]
    told = percentile(runtimes, part)
    assert told is not None
    assert abs(told / true - 1) < 0.0906


def test_no_runtimes_have_no_percentile() -> None:
    assert percentile({}, 0.5) is None


def test_runtimes_without_end_lie_in_a_bucket() -> None:
    seconds = (-1.0, 0.0, 0.001, 0.0011, 1e9, 1e12, 1e308, math.inf)
    assert [bucket_of(s) for s in seconds] == [0, 0, 0, 1, 124, 124, 124, 124]


def test_minutes_add_up() -> None:
    one = Rollup(at=60, counts={"failed": 1}, runtimes={3: 2}, names={"a": {"lost": 1}})
    two = Rollup(at=120, counts={"failed": 2}, runtimes={3: 1}, queues={"q": {}})
    assert summed([one, two]) == Rollup(
        at=60,
        counts={"failed": 3},
        runtimes={3: 3},
        names={"a": {"lost": 1}},
        queues={"q": {}},
    )
