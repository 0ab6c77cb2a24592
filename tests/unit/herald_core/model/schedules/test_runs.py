"""Which tasks are runs of a schedule, and what is learnt from regular ones."""

from __future__ import annotations

import msgspec
import pytest

from herald_core.model.schedules.assignment import assign_runs
from herald_core.model.schedules.follow import begin_track
from herald_core.model.schedules.history import begin_with_history
from herald_core.model.schedules.learning import (
    MIN_RUNS,
    LearntSchedule,
    derive_schedules,
    make_learnt_spec,
    read_learnt,
)
from herald_core.model.schedules.marks import (
    ScheduleMark,
    SourcesReport,
    encode_item,
    read_marks,
    read_report,
    read_tracks,
)
from herald_core.model.schedules.runs import list_open, may_belong_to, read_run
from herald_core.model.schedules.spec import make_schedule_id, make_tag
from herald_core.model.schedules.views import make_view
from herald_core.model.tasks.views import PENDING, SUCCESS, TaskView, to_rfc3339
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


def make_task(at: float, **fields: object) -> TaskView:
    image = TaskView(
        id=f"task-{at}", name="jobs.tick", state=SUCCESS, submitted_at=to_rfc3339(at)
    )
    return msgspec.structs.replace(image, **fields)


def find_half(after: float) -> float:
    """Return the next due time at half past a minute."""
    return (after - 30) // 60 * 60 + 90


@pytest.mark.parametrize(
    ("declared", "sent", "fits"),
    [
        ("[1, 2]", "(1, 2)", True),
        ("[1]", "(1,)", True),
        ("()", "[]", True),
        ("(1,)", "(2,)", False),
        (None, "(2,)", True),
        ("(1,)", None, True),
        ("('abcdef',)", "('abc...", True),
        ("('abcdef',)", "('xbc…", False),
        ("abc", "abc", True),
    ],
)
def test_a_run_has_the_arguments_of_its_schedule(
    declared: str | None, sent: str | None, fits: bool
) -> None:
    spec = msgspec.structs.replace(MINUTELY, args=declared)
    assert may_belong_to(spec, make_task(START, args=sent)) is fits


def test_a_tag_decides_before_the_arguments() -> None:
    own, other = make_tag(MINUTELY.name), make_tag("another")
    assert may_belong_to(MINUTELY, make_task(START, tags=(own,)))
    assert not may_belong_to(MINUTELY, make_task(START, tags=(other,)))


def test_a_task_of_another_name_is_no_run() -> None:
    assert not may_belong_to(MINUTELY, make_task(START, name="jobs.tock"))


def test_ids_of_schedules_can_stand_in_an_address() -> None:
    id_ = make_schedule_id("django", "every day/at 4 o'clock")
    assert id_.startswith("django-")
    assert id_.replace("-", "").isalnum()
    assert id_ != make_schedule_id("app", "every day/at 4 o'clock")


def test_a_run_is_read_from_its_task() -> None:
    at = to_rfc3339(START)
    task = make_task(START, exception="x" * 900)
    run = read_run(task)
    assert run is not None
    assert (run.at, run.sent, len(run.exception or "")) == (START, True, 200)
    received = read_run(make_task(START, submitted_at=None, received_at=at))
    assert received is not None
    assert not received.sent
    assert read_run(TaskView(id="a")) is None


def test_open_runs_are_read_again() -> None:
    waiting = make_run(START, state=PENDING, start=None, end=None)
    assert list_open([None, make_run(START), waiting]) == [waiting.task_id]


def test_of_two_schedules_of_a_task_each_has_its_own_runs() -> None:
    half = msgspec.structs.replace(MINUTELY, id="half", when="half past")
    pairs = [
        (MINUTELY, begin_track(MINUTELY, calendar, START)),
        (half, begin_track(half, find_half, START)),
    ]
    tasks = [make_task(START + at) for at in (30.2, 60.2)]
    found = assign_runs([*tasks, TaskView(id="x", name="jobs.tick")], pairs)
    assert [run.at - START for run in found["half"]] == [pytest.approx(30.2, abs=0.01)]
    assert [run.at - START for run in found["app-1"]] == [pytest.approx(60.2, abs=0.01)]


def test_of_two_schedules_at_one_time_each_has_one_run() -> None:
    twin = msgspec.structs.replace(MINUTELY, id="twin")
    pairs = [(one, begin_track(one, calendar, START)) for one in (MINUTELY, twin)]
    tasks = [make_task(START + 60), make_task(START + 60.001)]
    found = assign_runs(tasks, pairs)
    assert [len(runs) for runs in found.values()] == [1, 1]


def test_a_run_stays_with_its_schedule() -> None:
    twin = msgspec.structs.replace(MINUTELY, id="twin")
    task = make_task(START + 60)
    run = read_run(task)
    assert run is not None
    has_it = watch(MINUTELY, calendar, [run], seconds=70)
    pairs = [(twin, begin_track(twin, calendar, START)), (MINUTELY, has_it)]
    assert assign_runs([task], pairs)["twin"] == []


def test_a_task_that_fits_no_schedule_is_left_out() -> None:
    pairs = [(MINUTELY, begin_track(MINUTELY, calendar, START))]
    assert assign_runs([make_task(START, name="other")], pairs) == {"app-1": []}


def test_a_schedule_is_first_shown_with_its_stored_run() -> None:
    track = begin_with_history(MINUTELY, [make_run(START - 10)], calendar, START)
    assert track.recent[0].run is not None
    assert track.pending == START + 60


def test_the_next_run_of_an_interval_follows_the_stored_one() -> None:
    step = make_interval_due(60)
    track = begin_with_history(EACH_MINUTE, [make_run(START - 20)], step, START)
    assert track.pending == START + 40
    old = begin_with_history(EACH_MINUTE, [make_run(START - 900)], step, START)
    assert old.pending == START + 60


def test_without_a_stored_run_a_schedule_waits_for_its_first() -> None:
    assert begin_with_history(MINUTELY, [], calendar, START).recent == ()


def test_regular_submissions_show_a_schedule() -> None:
    tasks = [make_task(START + 60 * n + n % 3 * 0.1) for n in range(MIN_RUNS)]
    [learnt] = derive_schedules("jobs.tick", tasks)
    assert (learnt.interval, learnt.runs) == (60.0, MIN_RUNS)
    assert learnt.jitter < 0.5


def test_schedules_are_learnt_by_their_arguments() -> None:
    each = [
        make_task(START + 60 * n + at, args=f"({at},)")
        for n in range(MIN_RUNS)
        for at in (0, 7)
    ]
    assert len(derive_schedules("jobs.tick", each)) == 2


def test_an_interval_that_is_not_whole_is_kept() -> None:
    tasks = [make_task(START + 7.25 * n) for n in range(MIN_RUNS)]
    assert derive_schedules("jobs.tick", tasks)[0].interval == 7.25


@pytest.mark.parametrize(
    "tasks",
    [
        [make_task(START + 60 * n) for n in range(MIN_RUNS - 1)],
        [make_task(START + 60 * n + n % 2 * 20) for n in range(20)],
        [make_task(START + n) for n in range(20)],
        [make_task(START + 60 * n, parent_id="p") for n in range(20)],
        [make_task(START + 60 * n, group_id="g") for n in range(20)],
        [make_task(START + 60 * n, tags=(make_tag("a"),)) for n in range(20)],
        [make_task(START + 60 * n, submitted_at=None) for n in range(20)],
    ],
    ids=["few", "irregular", "fast", "children", "members", "named", "unknown"],
)
def test_nothing_is_learnt_from_other_submissions(tasks: list[TaskView]) -> None:
    assert derive_schedules("jobs.tick", tasks) == []


def make_learnt() -> LearntSchedule:
    tasks = [make_task(START + 60 * n) for n in range(MIN_RUNS)]
    return derive_schedules("jobs.tick", tasks)[0]


def test_what_was_learnt_is_a_schedule() -> None:
    spec = make_learnt_spec(make_learnt())
    assert (spec.source, spec.interval, spec.when) == ("learnt", 60.0, "every 60 s")


def test_what_was_learnt_can_be_read_from_its_image() -> None:
    learnt = make_learnt()
    spec = make_learnt_spec(learnt)
    track = begin_track(spec, make_interval_due(60), START)
    assert read_learnt(make_view(spec, track, START, learnt=learnt)) == learnt
    assert read_learnt(make_view(MINUTELY, track, START)) is None


def test_marks_are_stored_and_read() -> None:
    mark = ScheduleMark(by="me", at=to_rfc3339(START), learnt=make_learnt())
    assert read_marks({"a": encode_item(mark)}) == {"a": mark}


def test_a_track_of_an_unknown_format_is_begun_again() -> None:
    track = watch(MINUTELY, calendar, [make_run(START + 60)], seconds=1_000)
    stored = {"a": encode_item(track), "b": b'{"fingerprint": 3}'}
    assert read_tracks(stored) == {"a": track}


def test_a_report_about_sources_may_not_be_there() -> None:
    report = SourcesReport(counts={"app": 1})
    assert read_report(encode_item(report)) == report
    assert read_report(None) == SourcesReport()
