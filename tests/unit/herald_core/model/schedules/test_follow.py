"""Which due times have a run, and which were missed."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.model.schedules.follow import (
    IN_GAP,
    TOO_MANY,
    Sight,
    advance,
    begin_track,
    find_search_start,
)
from herald_core.model.schedules.problems import find_problems
from herald_core.model.schedules.runs import ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec, make_fingerprint
from herald_core.model.schedules.track import MAX_RECENT, Track
from tests.support.schedules.simulation import (
    EACH_MINUTE,
    MINUTELY,
    START,
    make_interval_due,
    make_next_due,
    make_run,
    watch,
)

HOURLY = msgspec.structs.replace(MINUTELY, when="hourly")
calendar, interval = make_next_due(60), make_interval_due(60)


def list_missed(track: Track) -> list[float]:
    return [one.due - START for one in track.recent if one.is_missed]


def list_paired(track: Track) -> list[tuple[float, float]]:
    """Return due times and submissions, in seconds since the start."""
    return [
        (round(one.due - START, 3), round(one.run.at - START, 3))
        for one in track.recent
        if one.run
    ]


def test_a_run_belongs_to_the_due_time_that_it_follows() -> None:
    track = watch(MINUTELY, calendar, [make_run(START + 60.2)], seconds=70)
    assert list_paired(track) == [(60, 60.2)]
    assert track.pending == START + 120


def test_a_due_time_without_a_run_is_missed_once_its_grace_is_over() -> None:
    early = watch(MINUTELY, calendar, [], seconds=85)
    assert list_missed(early) == []
    assert list_missed(watch(MINUTELY, calendar, [], seconds=90)) == [60]


def test_a_missed_run_is_told_within_a_minute_of_being_due() -> None:
    told: list[float] = []
    watch(
        MINUTELY,
        calendar,
        [],
        seconds=120,
        on_look=lambda track, now: told.extend([now] if list_missed(track) else []),
    )
    assert told[0] - START - 60 <= 60


def test_nothing_is_missed_in_a_gap() -> None:
    gaps = ((START + 65, START + 80),)
    track = watch(MINUTELY, calendar, [], seconds=90, gaps=gaps)
    assert list_missed(track) == []
    assert [one.unknown for one in track.recent] == [IN_GAP]


def test_a_run_that_is_seen_in_a_gap_is_known() -> None:
    gaps = ((START + 50, START + 90),)
    track = watch(MINUTELY, calendar, [make_run(START + 60)], seconds=90, gaps=gaps)
    assert list_paired(track) == [(60, 60)]


def test_nothing_is_decided_before_the_events_of_its_time_are_stored() -> None:
    track = begin_track(MINUTELY, calendar, START)
    behind = Sight(now=START + 600, known_until=START + 89)
    assert advance(track, MINUTELY, [], calendar, behind).recent == ()


def test_nothing_is_missed_among_more_tasks_than_were_read() -> None:
    track = begin_track(MINUTELY, calendar, START)
    now = START + 95
    sight = Sight(now=now, known_until=now, whole=False)
    assert advance(track, MINUTELY, [], calendar, sight).recent[0].unknown == TOO_MANY


def test_a_run_that_comes_late_is_no_longer_missed() -> None:
    at = START + 3_600
    hourly = make_next_due(3_600)
    missed = watch(HOURLY, hourly, [], seconds=3_700)
    assert list_missed(missed) == [3_600]
    late = make_run(at + 900)
    track = watch(HOURLY, hourly, [late], seconds=100, track=missed, start=at + 900)
    assert list_paired(track) == [(3_600, 4_500)]


def test_the_clock_of_a_sender_may_be_a_little_ahead() -> None:
    runs = [make_run(START + 60 * n - 20) for n in range(1, 60)]
    track = watch(MINUTELY, calendar, runs, seconds=3_000)
    assert list_missed(track) == []
    assert all(due - at == 20 for due, at in list_paired(track))


def test_a_run_by_hand_takes_no_due_time_of_another() -> None:
    runs = [make_run(START + at) for at in (60.1, 95, 120.1)]
    track = watch(MINUTELY, calendar, runs, seconds=130)
    assert list_paired(track) == [(60, 60.1), (120, 120.1)]


def test_an_interval_is_counted_from_its_last_run() -> None:
    runs = [make_run(START + at) for at in (20, 80.5, 141)]
    track = watch(EACH_MINUTE, interval, runs, seconds=180)
    assert [at for _, at in list_paired(track)] == [20, 80.5, 141]
    assert track.pending == START + 201


def test_an_interval_that_is_not_kept_is_missed() -> None:
    track = watch(EACH_MINUTE, interval, [make_run(START + 20)], seconds=250)
    assert list_missed(track) == [80, 140, 200]


def test_an_interval_starts_again_with_a_late_run() -> None:
    runs = [make_run(START + 20), make_run(START + 165)]
    track = watch(EACH_MINUTE, interval, runs, seconds=180)
    assert list_paired(track)[-1] == (140, 165)
    assert track.pending == START + 225


def test_a_run_by_hand_does_not_disturb_an_interval() -> None:
    runs = [make_run(START + at) for at in (60, 75, 120, 180, 240)]
    track = watch(EACH_MINUTE, interval, runs, seconds=280)
    assert list_missed(track) == []


def test_a_disabled_schedule_expects_nothing() -> None:
    off = msgspec.structs.replace(MINUTELY, enabled=False)
    track = watch(off, calendar, [], seconds=600)
    assert track.recent == ()
    assert find_search_start(track, off) is None


def test_nothing_is_expected_after_the_end_of_a_schedule() -> None:
    ending = msgspec.structs.replace(MINUTELY, until=START + 70)
    track = watch(ending, calendar, [make_run(START + 60)], seconds=300)
    assert len(track.recent) == 1
    assert track.pending is None


def test_a_time_that_comes_once_is_expected_once() -> None:
    at = START + 60
    once = watch(MINUTELY, lambda now: at if now < at else None, [], seconds=300)
    assert list_missed(once) == [60]
    assert once.pending is None
    late = advance(
        once,
        MINUTELY,
        [make_run(START + 400)],
        lambda _: None,
        Sight(now=START + 410, known_until=START + 410),
    )
    assert list_paired(late) == [(60, 400)]


def test_due_times_of_more_than_a_day_ago_are_left_out() -> None:
    track = begin_track(MINUTELY, calendar, START)
    now = START + 7 * 86_400
    track = advance(track, MINUTELY, [], calendar, Sight(now=now, known_until=now))
    assert track.recent[0].due > now - 86_400 - 600


def test_only_the_newest_due_times_are_followed_and_all_are_counted() -> None:
    runs = [make_run(START + 60 * n) for n in range(1, 40)]
    track = watch(MINUTELY, calendar, runs, seconds=40 * 60 - 1)
    assert len(track.recent) == MAX_RECENT
    counted = sum(n for counts in track.strip.values() for n in counts.values())
    assert counted == 39 - MAX_RECENT


def test_runs_are_read_since_the_first_undecided_due_time() -> None:
    track = begin_track(MINUTELY, calendar, START)
    assert find_search_start(track, MINUTELY) == START + 60 - MINUTELY.grace
    missed = watch(MINUTELY, calendar, [], seconds=90)
    assert find_search_start(missed, MINUTELY) == START + 60 - MINUTELY.grace
    each = begin_track(EACH_MINUTE, interval, START)
    assert find_search_start(each, EACH_MINUTE) == START


def test_another_time_or_task_is_another_schedule() -> None:
    other = msgspec.structs.replace(MINUTELY, when="hourly")
    same = msgspec.structs.replace(MINUTELY, grace=5.0)
    assert make_fingerprint(other) != make_fingerprint(MINUTELY)
    assert make_fingerprint(same) == make_fingerprint(MINUTELY)


@pytest.mark.parametrize(
    ("spec", "step"), [(MINUTELY, calendar), (EACH_MINUTE, interval)]
)
def test_no_false_alarm_in_an_hour_of_jitter(
    spec: ScheduleSpec, step: Callable[[float], float]
) -> None:
    chance = random.Random(18)
    runs: list[ScheduledRun] = []
    for n in range(60):
        at = START + 60 * (n + 1) + chance.uniform(-1, 12)
        runs.append(make_run(at, start=chance.uniform(0.01, 5), end=20))
    alarms: list[object] = []
    watch(
        spec,
        step,
        runs,
        seconds=3_600,
        on_look=lambda track, now: alarms.extend(find_problems(track, spec, now)),
    )
    assert alarms == []


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.0, 25.0), min_size=30, max_size=30),
    st.sets(st.integers(1, 28), max_size=10),
)
def test_exactly_the_runs_that_are_left_out_are_missed(
    delays: list[float], left_out: set[int]
) -> None:
    runs = [
        make_run(START + 60 * n + delay)
        for n, delay in enumerate(delays, 1)
        if n not in left_out
    ]
    seen: set[float] = set()
    watch(
        MINUTELY,
        calendar,
        runs,
        seconds=30 * 60 + 55,
        on_look=lambda track, _: seen.update(list_missed(track)),
    )
    assert seen == {60.0 * n for n in left_out}


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 28)), st.floats(0, 1_700), st.floats(1, 600))
def test_nothing_is_missed_whose_events_may_be_missing(
    left_out: set[int], gap_start: float, length: float
) -> None:
    runs = [make_run(START + 60 * n + 1) for n in range(1, 31) if n not in left_out]
    gap = (START + gap_start, START + gap_start + length)
    missed: set[float] = set()
    watch(
        MINUTELY,
        calendar,
        runs,
        seconds=30 * 60 + 55,
        gaps=(gap,),
        on_look=lambda track, _: missed.update(list_missed(track)),
    )
    for due in missed:
        assert START + due + MINUTELY.grace <= gap[0] or START + due >= gap[1]
