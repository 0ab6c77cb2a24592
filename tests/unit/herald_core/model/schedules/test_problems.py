"""What is wrong with a schedule, and how it is shown."""

from __future__ import annotations

import msgspec

from herald_core.model.schedules import outcomes
from herald_core.model.schedules.learning import LearntSchedule
from herald_core.model.schedules.problems import find_outcome, find_problems
from herald_core.model.schedules.runs import ScheduledRun
from herald_core.model.schedules.silence import find_silent_sources
from herald_core.model.schedules.track import Track
from herald_core.model.schedules.views import ScheduleMarks, make_view
from herald_core.model.tasks.views import FAILURE, PENDING, REVOKED, STARTED
from tests.support.schedules.simulation import (
    EACH_MINUTE,
    MINUTELY,
    START,
    make_interval_due,
    make_next_due,
    make_run,
    watch,
)

calendar = make_next_due(60)


def follow(*runs: ScheduledRun, seconds: float) -> Track:
    return watch(MINUTELY, calendar, runs, seconds=seconds)


def list_kinds(track: Track, now: float) -> list[str]:
    return [one.kind for one in find_problems(track, MINUTELY, START + now)]


def test_a_run_in_time_is_no_problem() -> None:
    track = follow(make_run(START + 60), seconds=70)
    assert list_kinds(track, 70) == []
    assert find_outcome(track, MINUTELY, START + 70) == outcomes.OK


def test_before_the_first_due_time_nothing_is_known() -> None:
    track = follow(seconds=30)
    assert list_kinds(track, 30) == []
    assert find_outcome(track, MINUTELY, START + 30) is None
    assert make_view(MINUTELY, track, START + 30)["state"] == "waiting"


def test_a_run_that_no_worker_starts_is_late() -> None:
    waiting = make_run(START + 60, state=PENDING, start=None, end=None)
    track = follow(waiting, seconds=70)
    assert list_kinds(track, 89) == []
    [late] = find_problems(track, MINUTELY, START + 91)
    assert late.kind == outcomes.LATE
    assert "no worker has started it" in late.message
    assert late.task_id == waiting.task_id


def test_runs_that_wait_are_late_however_short_the_interval_is() -> None:
    runs = [
        make_run(START + 5 * n, state=PENDING, start=None, end=None)
        for n in range(1, 9)
    ]
    track = watch(MINUTELY, make_next_due(5), runs, seconds=40)
    [late] = find_problems(track, MINUTELY, START + 41)
    assert late.since == "2025-11-30T00:00:05.000Z"
    assert late.message.endswith("1 later runs wait as well.")


def test_the_queue_of_a_run_that_waits_is_named() -> None:
    waiting = make_run(START + 60, state=PENDING, start=None, end=None)
    waiting = msgspec.structs.replace(waiting, queue="reports")
    [late] = find_problems(follow(waiting, seconds=70), MINUTELY, START + 100)
    assert "in the queue reports" in late.message


def test_a_run_that_started_late_says_by_how_much() -> None:
    track = follow(make_run(START + 60, start=40, end=41), seconds=110)
    [late] = find_problems(track, MINUTELY, START + 110)
    assert "started 40 s later" in late.message
    view = make_view(MINUTELY, track, START + 110)
    assert (view["state"], view["strip"][0]["late"]) == ("late", 1)


def test_a_run_that_was_submitted_late_says_so() -> None:
    hourly = make_next_due(3_600)
    track = watch(MINUTELY, hourly, [make_run(START + 3_700)], seconds=3_720)
    [late] = find_problems(track, MINUTELY, START + 3_720)
    assert "submitted 100 s later" in late.message
    unsent = make_run(START + 3_700, sent=False)
    track = watch(MINUTELY, hourly, [unsent], seconds=3_720)
    [late] = find_problems(track, MINUTELY, START + 3_720)
    assert "received by a worker 100 s later" in late.message


def test_a_countdown_does_not_make_a_run_late() -> None:
    delayed = msgspec.structs.replace(MINUTELY, delay=45.0)
    track = watch(delayed, calendar, [make_run(START + 60, start=45)], seconds=110)
    assert find_problems(track, delayed, START + 110) == []


def test_a_run_that_takes_longer_than_its_interval_overlaps() -> None:
    first = make_run(START + 60, state=STARTED, end=None)
    track = follow(first, make_run(START + 120), seconds=125)
    [overlap] = find_problems(track, MINUTELY, START + 125)
    assert overlap.kind == outcomes.OVERLAPPING
    assert first.task_id in overlap.message


def test_a_run_that_ended_before_the_next_does_not_overlap() -> None:
    track = follow(make_run(START + 60, end=59), make_run(START + 120), seconds=125)
    assert list_kinds(track, 125) == []


def test_a_run_before_it_that_never_started_does_not_overlap() -> None:
    first = make_run(START + 60, state=PENDING, start=None, end=None)
    track = follow(first, make_run(START + 120), seconds=125)
    assert outcomes.OVERLAPPING not in list_kinds(track, 125)


def test_the_last_run_that_ended_is_the_one_that_failed() -> None:
    failed = msgspec.structs.replace(
        make_run(START + 60, state=FAILURE), exception="KeyError('a')"
    )
    running = make_run(START + 120, state=STARTED, end=None)
    track = follow(failed, running, seconds=125)
    [problem] = find_problems(track, MINUTELY, START + 125)
    assert problem.kind == outcomes.FAILED
    assert "KeyError('a')" in problem.message


def test_a_revoked_run_did_not_run() -> None:
    revoked = make_run(START + 60, state=REVOKED, start=None)
    [problem] = find_problems(follow(revoked, seconds=70), MINUTELY, START + 70)
    assert "cancelled, or had expired" in problem.message


def test_a_failure_is_over_with_the_next_success() -> None:
    failed = make_run(START + 60, state=FAILURE)
    track = follow(failed, make_run(START + 120), seconds=125)
    assert list_kinds(track, 125) == []
    assert make_view(MINUTELY, track, START + 125)["strip"][0]["failed"] == 1


def test_without_visible_submissions_a_missed_run_may_have_been_sent() -> None:
    [problem] = find_problems(follow(seconds=95), MINUTELY, START + 95)
    assert problem.kind == outcomes.MISSED
    assert "task_send_sent_event" in problem.message


def test_missed_runs_are_counted_since_the_first() -> None:
    track = follow(make_run(START + 60), seconds=215)
    [problem] = find_problems(track, MINUTELY, START + 215)
    assert problem.message.startswith("2 runs are missing")
    assert "nothing was submitted" in problem.message
    assert problem.since == "2025-11-30T00:02:00.000Z"


def test_a_scheduler_is_silent_when_nothing_of_its_source_runs() -> None:
    one, both = follow(seconds=95), follow(seconds=155)
    assert find_silent_sources([(MINUTELY, one)]) == {}
    assert find_silent_sources([(MINUTELY, both)]) == {"app": START + 60}
    assert find_silent_sources([(MINUTELY, one), (MINUTELY, one)]) != {}


def test_a_scheduler_that_submits_one_schedule_is_not_silent() -> None:
    other = watch(
        EACH_MINUTE, make_interval_due(60), [make_run(START + 140)], seconds=155
    )
    pairs = [(MINUTELY, follow(seconds=155)), (EACH_MINUTE, other)]
    assert find_silent_sources(pairs) == {}


def test_a_gap_is_no_silence() -> None:
    track = watch(MINUTELY, calendar, [], seconds=155, gaps=((START, START + 155),))
    assert find_silent_sources([(MINUTELY, track)]) == {}


def test_a_run_that_expired_in_the_queue_was_not_started_late() -> None:
    revoked = make_run(START + 60, state=REVOKED, start=None, end=None)
    track = follow(revoked, seconds=110)
    assert list_kinds(track, 110) == [outcomes.FAILED]


def test_no_scheduler_is_behind_a_learnt_or_disabled_schedule() -> None:
    track = follow(seconds=155)
    learnt = msgspec.structs.replace(MINUTELY, source="learnt")
    off = msgspec.structs.replace(MINUTELY, enabled=False)
    assert find_silent_sources([(learnt, track), (off, track)]) == {}


def test_silence_comes_before_what_it_causes() -> None:
    track = follow(seconds=155)
    found = find_problems(track, MINUTELY, START + 155, START + 60)
    assert [one.kind for one in found] == [outcomes.SCHEDULER_SILENT, outcomes.MISSED]
    view = make_view(MINUTELY, track, START + 155, silent_since=START + 60)
    assert view["state"] == "beat_silent"


def test_a_view_has_what_a_reader_needs() -> None:
    spec = msgspec.structs.replace(MINUTELY, queue="reports", args="(1,)")
    track = watch(spec, calendar, [make_run(START + 60.5)], seconds=70)
    view = make_view(spec, track, START + 70)
    assert view["state"] == "ok"
    assert view["next_run"] == "2025-11-30T00:02:00.000Z"
    assert view["last_due"] == "2025-11-30T00:01:00.000Z"
    assert view["last_run"]["state"] == "SUCCESS"
    assert view["last_run"]["late_s"] == 0.6
    assert view["strip"] == [{"at": "2025-11-30T00:00:00.000Z", "ok": 1}]
    assert (view["queue"], view["args"]) == ("reports", "(1,)")


def test_a_run_that_has_not_ended_is_running() -> None:
    running = make_run(START + 60, state=STARTED, end=None)
    assert make_view(MINUTELY, follow(running, seconds=70), START + 70)["state"] == (
        "running"
    )


def test_an_unknown_outcome_is_shown_with_its_reason() -> None:
    track = watch(MINUTELY, calendar, [], seconds=95, gaps=((START, START + 95),))
    view = make_view(MINUTELY, track, START + 95)
    assert (view["state"], "unknown" in view) == ("unknown", True)
    assert view["problems"] == []


def test_a_disabled_schedule_has_no_problem() -> None:
    off = msgspec.structs.replace(MINUTELY, enabled=False)
    view = make_view(off, follow(seconds=155), START + 155)
    assert (view["state"], view["problems"]) == ("disabled", [])


def test_a_learnt_schedule_raises_no_alarm_before_a_person_confirmed_it() -> None:
    learnt = LearntSchedule(
        task="jobs.tick",
        args=None,
        kwargs=None,
        interval=60.0,
        jitter=0.2,
        runs=9,
        first=START - 480,
        last=START,
    )
    marks = ScheduleMarks(confirmed=False)
    view = make_view(
        MINUTELY, follow(seconds=155), START + 155, marks=marks, learnt=learnt
    )
    assert (view["state"], view["problems"]) == ("unconfirmed", [])
    assert view["learnt"]["runs"] == 9
