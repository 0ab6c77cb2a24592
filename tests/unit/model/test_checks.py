"""When tasks are looked at again, and what it takes to know so of very many."""

import tracemalloc

from herald_monitor.model.checks import PAUSES, Checks
from herald_monitor.model.shape import TaskImage, rfc3339

NOW = 1_800_000_000.0


def task(id_: str, rev: str = "1-1.0") -> TaskImage:
    return TaskImage(id=id_, state="RECEIVED", updated_at=rfc3339(NOW), rev=rev)


def test_pauses_grow_while_nothing_changes_and_begin_anew_with_a_word() -> None:
    checks, one, now = Checks(5), task("a"), NOW
    for pause in (PAUSES[0], *PAUSES, PAUSES[-1]):
        assert not checks.is_due(one, now)
        now += pause
        assert checks.is_due(one, now)
        checks.looked(one, now)
    told = task("a", "1-2.0")
    assert checks.is_due(told, now), "the word is old"
    checks.looked(told, now)
    assert checks.is_due(told, now + PAUSES[0])


def test_an_absence_ends_when_the_task_is_seen_or_heard_of() -> None:
    checks = Checks(5)
    assert checks.missed(task("a"), NOW).looks == 1
    assert checks.missed(task("a"), NOW + 1).looks == 1
    assert checks.missed(task("a"), NOW + 6).looks == 2
    assert checks.missed(task("a", "1-2.0"), NOW + 12) == checks.missed(
        task("b"), NOW + 12
    )
    checks.looked(task("b"), NOW + 13)
    assert checks.missed(task("b"), NOW + 30).since == NOW + 30


def test_what_is_not_kept_is_forgotten() -> None:
    checks = Checks(5)
    for id_ in ("a", "b"):
        checks.missed(task(id_), NOW)
    checks.keep(["b"])
    assert len(checks) == 1
    assert checks.missed(task("b"), NOW + 6).looks == 2
    assert checks.missed(task("a"), NOW + 6).looks == 1


def test_a_check_takes_little_memory() -> None:
    checks, number = Checks(5), 20_000
    tracemalloc.start()
    for n in range(number):
        checks.is_due(task(f"task-{n:036}", f"1795986052010-{n}.0"), NOW)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / number < 200
