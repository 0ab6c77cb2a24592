"""Charts, failures against their normal, and suspects: the pure parts."""

import math
from typing import Any

import pytest

from herald_core.model.gaps import Gap
from herald_core.model.marks.mark import Mark
from herald_core.model.rollups.rollup import (
    OTHER_PART,
    Rollup,
    merge_rollups,
    to_bucket,
)
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_server.insight.stats.failures import compute_binomial_tail, find_failing
from herald_server.insight.stats.rollup_cache import DayRollup
from herald_server.insight.stats.suspects import compute_limits, judge_tasks
from herald_server.insight.stats.timeseries import (
    compute_statistics,
    is_whole,
    list_annotations,
    make_bins,
    select_rollups,
)

NOW = 1_800_000_030.0
MINUTE = 1_800_000_000


def minute(
    ago: int = 0, name: str = "a", seconds: float = 1.0, **counts: int
) -> Rollup:
    """Return a minute so many minutes ago in which only tasks of one name were."""
    took = {to_bucket(seconds): n} if (n := counts.get("succeeded")) else {}
    return Rollup(
        at=MINUTE - 60 * ago,
        counts=counts,
        runtimes=took,
        names={name: counts},
        queues={"q": {"submitted": counts.get("submitted", 0)}},
        runtimes_of={name: took} if took else {},
    )


# -- series --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "number", "step"), [("1h", 60, 60), ("24h", 144, 600)]
)
def test_a_window_has_all_its_bins_and_each_minute_is_in_one(
    window: str, number: int, step: int
) -> None:
    told = [minute(ago, succeeded=2, failed=1) for ago in range(60)]
    found = make_bins(told, window, NOW)
    assert len(found) == number
    assert found[-1].at == to_rfc3339(MINUTE)
    assert found[0].at == to_rfc3339(MINUTE - (number - 1) * step)
    assert sum(one.counts.get("succeeded", 0) for one in found) == 120
    assert found[-1].failure_rate == 0.3333
    assert found[-1].runtime is not None
    assert math.isclose(found[-1].runtime.p50, 1.0, rel_tol=0.1)


def test_a_minute_before_the_window_is_in_no_bin() -> None:
    assert not any(one.counts for one in make_bins([minute(60, failed=1)], "1h", NOW))


def test_nothing_that_ended_has_no_rate_rather_than_none_failing() -> None:
    told = compute_statistics(Rollup(at=0, counts={"started": 3}))
    assert (told.failure_rate, told.runtime) == (None, None)


def test_names_and_queues_are_counted_alone() -> None:
    told = [minute(0, "a.x", 1.0, succeeded=1), minute(0, "b", 9.0, succeeded=5)]
    [only] = select_rollups(told, names=["a.*"])
    assert (only.counts, only.runtimes) == ({"succeeded": 1}, {to_bucket(1.0): 1})
    assert select_rollups(told, names=["c"]) == []
    told = [minute(submitted=4)]
    assert select_rollups(told, queues=["q"])[0].counts == {"submitted": 4}


def test_what_was_not_counted_apart_is_said() -> None:
    told = [Rollup(at=0, names={OTHER_PART: {"failed": 1}})]
    assert is_whole(told, names=False, queues=True)
    assert not is_whole(told, names=True, queues=False)


def test_gaps_and_workers_are_marked_in_order() -> None:
    def at(seconds: float) -> str:
        return to_rfc3339(NOW + seconds)

    gaps = [
        Gap(id="1", since=at(-9_000), until=at(-50), reason="cut"),
        Gap(id="0", since=at(-9_000), until=at(-8_000), reason="old", state="closed"),
    ]
    states = ("online", "silent", "offline")
    workers = [
        WorkerView(
            id=s, hostname=s, state=s, started_at=at(-99), last_heartbeat_at=at(-9)
        )
        for s in states
    ]
    marks = [
        Mark(id=id_, at=at(ago), kind="deploy", what=id_)
        for id_, ago in (("new", -70), ("old", -9_000))
    ]
    found = list_annotations(gaps, workers, marks, NOW - 3_600)
    assert [(one.kind, one.what) for one in found] == [
        ("gap", "cut"),
        *(("worker_started", state) for state in states),
        ("deploy", "new"),
        ("worker_silent", "silent"),
        ("worker_offline", "offline"),
    ]


def test_marks_are_shown_among_many_workers() -> None:
    many = [
        WorkerView(id=h, hostname=h, state="online", started_at=to_rfc3339(NOW))
        for h in map(str, range(300))
    ]
    mark = Mark(id="m", at=to_rfc3339(NOW - 60), kind="deploy", what="deploy 4f1c")
    found = list_annotations([], many, [mark], NOW - 3_600)
    assert (len(found), found[0].id, found[1].what) == (200, "m", "0")


# -- failures against their normal ---------------------------------------------------


def day(*minutes: Rollup) -> DayRollup:
    """Return a day, of which five minutes apart."""
    split = MINUTE - 240
    return DayRollup(
        merge_rollups(one for one in minutes if one.at < split),
        merge_rollups(one for one in minutes if one.at >= split),
    )


DAY = [minute(ago, succeeded=99, failed=1) for ago in range(10, 60)]


def test_as_many_failures_as_usual_are_not_unusual() -> None:
    [found] = find_failing(day(*DAY, minute(succeeded=198, failed=2)))
    assert (found.rate, found.normal, found.unusual) == (0.01, 0.01, False)


@pytest.mark.parametrize(
    ("usually", "lately"),
    [((1, 2), (5, 10)), ((6, 12), (50, 100)), ((3, 300), (1_001, 100_000))],
)
def test_a_share_that_equals_the_usual_one_is_not_unusual(
    usually: tuple[int, int], lately: tuple[int, int]
) -> None:
    before = minute(20, failed=usually[0], succeeded=usually[1] - usually[0])
    now = minute(failed=lately[0], succeeded=lately[1] - lately[0])
    [found] = find_failing(day(before, now))
    assert not found.unusual


def test_many_more_failures_than_usual_come_first() -> None:
    calm = minute(1, "calm", failed=50, succeeded=50)
    usual = [minute(ago, "calm", failed=50, succeeded=50) for ago in range(10, 60)]
    found = find_failing(day(*DAY, *usual, minute(succeeded=95, failed=5), calm))
    assert [(one.name, one.unusual) for one in found] == [("a", True), ("calm", False)]
    assert (found[0].failed, found[0].ended, found[0].normal_ended) == (5, 100, 5_000)


def test_a_new_name_is_unusual_with_two_failures_but_not_with_one() -> None:
    assert [one.unusual for one in find_failing(day(minute(failed=1)))] == [False]
    [found] = find_failing(day(minute(failed=2)))
    assert (found.unusual, found.normal) == (True, None)


def test_failures_of_long_ago_are_not_now() -> None:
    assert find_failing(day(*DAY)) == []


@pytest.mark.parametrize(
    ("tries", "part"), [(1, 0.5), (30, 0.02), (40, 0.9), (200, 0.3)]
)
def test_chances_are_those_of_the_binomial_distribution(
    tries: int, part: float
) -> None:
    chances = [
        math.comb(tries, k) * part**k * (1 - part) ** (tries - k)
        for k in range(tries + 1)
    ]
    for hits in range(tries + 1):
        expected = sum(chances[hits:])
        assert math.isclose(
            compute_binomial_tail(hits, tries, part),
            expected,
            rel_tol=1e-6,
            abs_tol=1e-9,
        )


def test_a_million_tries_are_soon_summed_up() -> None:
    assert compute_binomial_tail(11_000, 1_000_000, 0.01) < 1e-20
    assert compute_binomial_tail(9_000, 1_000_000, 0.01) > 0.999


# -- suspects ------------------------------------------------------------------------


def held(
    name: str, since: float, worker: str = "w", state: str = "STARTED"
) -> TaskView:
    started = to_rfc3339(NOW - since) if state == "STARTED" else None
    return TaskView(id=name, state=state, name=name, worker=worker, started_at=started)


def whys(*tasks: TaskView, **more: Any) -> list[tuple[str, str]]:
    given: dict[str, Any] = {"lost": [], "limits": {"a": 10.0, "b": 1.0}, "gone": []}
    found = judge_tasks(tasks, now=NOW, **{**given, **more})
    return [(one.why, one.task.id) for one in found]


def test_what_runs_longer_than_its_kind_is_suspect_the_worst_first() -> None:
    tasks = [held("a", 20), held("b", 9), held("unknown", 9_999), held("a", 10.5)]
    assert whys(*tasks) == [("long", "b"), ("long", "a")]


def test_a_silent_worker_s_tasks_come_first_and_lost_ones_last() -> None:
    tasks = [held("b", 9), held("x", 1, "dead"), held("y", 0, "dead", "RECEIVED")]
    found = whys(*tasks, gone=["dead"], lost=[TaskView(id="l", state="LOST")])
    assert found == [("silent", "x"), ("silent", "y"), ("long", "b"), ("lost", "l")]


def test_what_waits_with_a_worker_is_not_long() -> None:
    assert whys(held("b", 9, state="RECEIVED")) == []


def test_a_limit_needs_enough_runs() -> None:
    told = [minute(0, "few", succeeded=19), minute(1, "many", 2.0, succeeded=20)]
    assert compute_limits(merge_rollups(told)) == {"many": pytest.approx(2.0, rel=0.1)}
