"""When tasks are looked at again, and what it takes to know so of very many."""

import tracemalloc

from herald_core.model.loss.recheck_schedule import PAUSES_S, RecheckSchedule
from herald_core.model.tasks.views import TaskView, to_rfc3339

NOW = 1_800_000_000.0


def task(id_: str, rev: str = "1-1.0") -> TaskView:
    return TaskView(id=id_, state="RECEIVED", updated_at=to_rfc3339(NOW), rev=rev)


def test_pauses_grow_while_nothing_changes_and_begin_anew_with_a_word() -> None:
    checks, one, now = RecheckSchedule(5), task("a"), NOW
    for pause in (PAUSES_S[0], *PAUSES_S, PAUSES_S[-1]):
        assert not checks.is_due(one, now)
        now += pause
        assert checks.is_due(one, now)
        checks.record_found(one, now)
    told = task("a", "1-2.0")
    assert checks.is_due(told, now), "the word is old"
    checks.record_found(told, now)
    assert checks.is_due(told, now + PAUSES_S[0])


def test_an_absence_ends_when_the_task_is_seen_or_heard_of() -> None:
    checks = RecheckSchedule(5)
    assert checks.record_missing(task("a"), NOW).checks == 1
    assert checks.record_missing(task("a"), NOW + 1).checks == 1
    assert checks.record_missing(task("a"), NOW + 6).checks == 2
    assert checks.record_missing(task("a", "1-2.0"), NOW + 12) == checks.record_missing(
        task("b"), NOW + 12
    )
    checks.record_found(task("b"), NOW + 13)
    assert checks.record_missing(task("b"), NOW + 30).since == NOW + 30


def test_what_is_not_kept_is_forgotten() -> None:
    checks = RecheckSchedule(5)
    for id_ in ("a", "b"):
        checks.record_missing(task(id_), NOW)
    checks.retain(["b"])
    assert len(checks) == 1
    assert checks.record_missing(task("b"), NOW + 6).checks == 2
    assert checks.record_missing(task("a"), NOW + 6).checks == 1


def test_a_check_takes_little_memory() -> None:
    checks, number = RecheckSchedule(5), 20_000
    tracemalloc.start()
    for n in range(number):
        checks.is_due(task(f"task-{n:036}", f"1795986052010-{n}.0"), NOW)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / number < 200
