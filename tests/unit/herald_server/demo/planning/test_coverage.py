"""The coverage of the sample project, held against trying everything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_server.demo.planning import (
    contingency,
    fairness,
    schedule,
    schedule_metrics,
)
from herald_server.demo.planning.coverage import (
    NOBODY,
    Assignment,
    Problem,
    solve,
    stated,
)
from herald_server.demo.planning.plan import (
    CALM,
    Strain,
    cover_by_id,
    problem_of,
    reduce_until_covered,
    unheard,
)
from herald_server.demo.planning.schedule import ESSENTIAL
from herald_server.demo.progress import forward

PEOPLE = 3
MONDAY = date(2026, 11, 23)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    blocks = draw(st.integers(0, 5))
    some = st.sets(st.integers(0, PEOPLE - 1)).map(lambda who: tuple(sorted(who)))
    return Problem(
        slots=tuple(draw(st.integers(0, 2)) for _ in range(blocks)),
        candidates=tuple(draw(some) for _ in range(blocks)),
        limits=tuple(draw(st.integers(0, 3)) for _ in range(PEOPLE)),
    )


def allowed(problem: Problem, cover: Sequence[int]) -> bool:
    """State the rules once more, as plainly as can be."""
    given_ = [(block, who) for block, who in enumerate(cover) if who != NOBODY]
    places = [(who, problem.slots[block]) for block, who in given_]
    return (
        all(who in problem.candidates[block] for block, who in given_)
        and len(set(places)) == len(places)
        and all(
            sum(who == one for _, who in given_) <= most
            for one, most in enumerate(problem.limits)
        )
    )


def most_covered(problem: Problem, gone: Collection[int] = ()) -> int:
    """Try every way to cover."""
    choices = [
        [NOBODY, *(who for who in may if who not in gone)] for may in problem.candidates
    ]
    ways: Iterator[tuple[int, ...]] = product(*choices)
    return max(
        sum(who != NOBODY for who in way) for way in ways if allowed(problem, way)
    )


def covered(plan: Assignment) -> int:
    return len(plan.cover) - len(plan.uncovered)


@given(problems(), st.booleans())
def test_as_many_blocks_are_covered_as_can_be(problem: Problem, fair: bool) -> None:
    plan = solve(problem, fair=fair)
    assert allowed(problem, plan.cover)
    assert covered(plan) == most_covered(problem)


@given(problems())
def test_load_is_what_everybody_covers(problem: Problem) -> None:
    plan = solve(problem)
    for who, load in enumerate(plan.load):
        assert load == plan.cover.count(who) == len(plan.blocks_of(who))


@given(problems(), st.sets(st.integers(0, PEOPLE - 1), max_size=2))
def test_a_loss_is_repaired_as_well_as_can_be(problem: Problem, gone: set[int]) -> None:
    base = solve(problem)
    before = list(base.cover)
    rest = base.without(gone)
    assert allowed(problem, rest.cover)
    assert not gone.intersection(rest.cover)
    assert covered(rest) == most_covered(problem, gone)
    assert base.cover == before


@given(problems(), st.permutations(range(PEOPLE)))
def test_one_loss_after_another_is_as_both_at_once(
    problem: Problem, order: list[int]
) -> None:
    first, second, _ = order
    base = solve(problem)
    after = base.without((first,)).without((second,))
    assert covered(after) == covered(base.without((first, second)))


@given(st.lists(problems(), max_size=3))
def test_n1_and_n2_are_what_their_definitions_say(weeks: list[Problem]) -> None:
    losses = contingency.analyse(weeks, unheard)
    lost = [
        len(week.slots) - most_covered(week, (who,))
        for week in weeks
        for who in range(PEOPLE)
    ]
    fatal = {
        pair
        for pair in combinations(range(PEOPLE), 2)
        if any(most_covered(week, pair) < len(week.slots) for week in weeks)
    }
    assert losses.vulnerabilities == sum(lost)
    assert losses.n1_pass == (sum(lost) == 0)
    assert losses.fatal_pairs == fatal
    assert losses.n2_pass == (not fatal)


def test_who_is_busy_hands_over_to_take_what_nobody_else_can() -> None:
    # 0 covers block 0 at first; only 0 can cover block 1 of the same half-day.
    problem = Problem(slots=(0, 0), candidates=((0, 1), (0,)), limits=(1, 1))
    assert solve(problem, fair=False).cover == [1, 0]


def test_who_has_no_hours_left_hands_over_a_block_of_another_day() -> None:
    problem = Problem(slots=(0, 5), candidates=((0, 1), (0,)), limits=(1, 1))
    assert solve(problem, fair=False).cover == [1, 0]


def test_a_fair_plan_shares_what_a_first_fit_heaps() -> None:
    problem = Problem((0, 1, 2, 3), ((0, 1),) * 4, (4, 4))
    assert sorted(solve(problem).load) == [2, 2]
    assert sorted(solve(problem, fair=False).load) == [0, 4]


@given(problems())
def test_a_roster_is_restated_as_it_was(problem: Problem) -> None:
    cover = solve(problem).cover
    assert stated(problem, cover).cover == cover


def test_what_breaks_a_rule_is_not_restated() -> None:
    problem = Problem(slots=(0, 0, 1), candidates=((0,), (0,), (1,)), limits=(2, 2))
    assert stated(problem, [0, 0, 0]).cover == [0, NOBODY, NOBODY]


shares = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(shares)
def test_gini_is_the_mean_difference_over_twice_the_mean(values: list[int]) -> None:
    total = sum(values)
    differences = sum(abs(a - b) for a in values for b in values)
    expected = differences / (2 * len(values) * total) if total else 0.0
    assert fairness.gini(values) == pytest.approx(expected)
    assert fairness.fairness(values) == pytest.approx(1 - expected)


def test_gini_of_one_who_has_all() -> None:
    assert fairness.gini([0, 0, 0, 8]) == pytest.approx(0.75)
    assert fairness.gini([2, 2, 2]) == pytest.approx(0)


def test_gini_takes_no_negative_share() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        fairness.gini([1, -1])


def test_a_slope_is_that_of_the_line() -> None:
    assert fairness.slope([1, 3, 5, 7]) == pytest.approx(2)
    assert fairness.slope([4]) == 0


def test_an_outlier_is_found() -> None:
    assert fairness.outliers([1.0] * 9 + [5.0]) == [9]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_makes_the_same_schedule(seed: int) -> None:
    assert schedule.week(seed, MONDAY) == schedule.week(seed, MONDAY)
    assert schedule.people(seed) == schedule.people(seed)
    assert schedule.week(seed, MONDAY) != schedule.week(seed + 5, MONDAY)


def test_a_planned_week_breaks_no_rule_and_a_wrong_one_is_seen() -> None:
    people, week = schedule.people(1), schedule.week(1, MONDAY)
    cover = cover_by_id(week, solve(problem_of(people, week)))
    good = schedule_metrics.measure(people, [week], cover)
    assert good.violation_count == 0
    assert good.coverage == 1.0

    everything_to_one = dict.fromkeys(cover, 0)
    bad = schedule_metrics.measure(people, [week], everything_to_one)
    assert bad.violations["over_hours"] == 1
    assert bad.violations["double_booked"] == len(cover) - 14
    assert bad.violations["unqualified"] > 0
    assert bad.fairness == pytest.approx(1 / len(people.faculty), abs=1e-3)


def test_an_uncovered_service_leaves_its_residents_unsupervised() -> None:
    people, week = schedule.people(1), schedule.week(1, MONDAY)
    found = schedule_metrics.violations(people, [week], {})
    working = sum(
        2
        for one in people.residents
        for day in week.days
        if schedule.on_service(one, day)
        in {block.service for block in week.blocks if block.day == day}
    )
    assert found["unsupervised"] == working


def test_services_are_given_up_only_as_far_as_it_takes() -> None:
    people, week = schedule.people(1), schedule.week(1, MONDAY)
    calm = reduce_until_covered(people, week, CALM, ESSENTIAL)
    assert (calm.given_up, calm.hours) == ((), 1.0)

    half = Strain(away=frozenset(range(0, len(people.faculty), 2)))
    reduced = reduce_until_covered(people, week, half, ESSENTIAL)
    assert reduced.given_up
    assert not ESSENTIAL.intersection(reduced.given_up)
    assert not set(reduced.given_up) & {b.service for b in reduced.week.blocks}
    assert not any(who % 2 == 0 for who in reduced.plan.cover if who != NOBODY)


def test_weeks_of_a_period_are_those_it_touches() -> None:
    sunday = MONDAY - timedelta(days=1)
    assert list(schedule.mondays(sunday, MONDAY)) == [
        MONDAY - timedelta(days=7),
        MONDAY,
    ]


def test_progress_never_goes_back() -> None:
    told: list[int] = []
    progress = forward(lambda current, total, message: told.append(current))
    for step in (1, 3, 2, 3, 4):
        progress(step, 9, "")
    assert told == [1, 3, 4]
