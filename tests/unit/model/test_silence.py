"""What silence proves: one test for each row of the table in monitor/README.md."""

from typing import Any

from herald_monitor.attention import Attention
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.whereabouts import (
    Absence,
    Whereabouts,
    comes_again,
    is_absent,
    is_suspect,
    was_dropped,
    why_lost,
)
from herald_monitor.model.workers import WorkerImage

NOW = 1_800_000_000.0
AFTER = 60.0
NAME = "w@h"


def task(state: str = "STARTED", *, ago: float = 500.0, queue: str = "q") -> TaskImage:
    at, host = rfc3339(NOW - ago), None if state == "PENDING" else NAME
    return TaskImage(id="t", state=state, updated_at=at, worker=host, queue=queue)


def around(state: str, ago: float = 500.0, **more: Any) -> Whereabouts:
    at = rfc3339(NOW - ago)
    shared = bool(more.pop("shared", False))
    one = WorkerImage(
        id=NAME, hostname=NAME, state=state, last_heartbeat_at=at, shared=shared
    )
    return Whereabouts(at=NOW, workers={NAME: one}, **more)


def is_lost(one: TaskImage, where: Whereabouts) -> bool:
    if not is_suspect(one, where, AFTER) or not is_absent(one, where):
        return False
    return bool(why_lost(one, where, Absence(NOW - 200, 5), AFTER))


def test_silent_and_connected_may_be_busy() -> None:
    where = around("silent", reachable=frozenset([NAME]), unheard=True)
    assert not is_lost(task(), where)
    assert not is_lost(task("RECEIVED"), where)
    assert not is_lost(task("PENDING"), where), "it tells what it took when it can"


def test_silent_and_not_connected_is_dead() -> None:
    assert is_lost(task(), around("silent"))
    assert not is_lost(task(), around("silent", ago=50.0))
    assert is_lost(task("PENDING"), around("silent"))


def test_a_consumer_that_is_not_heard_may_have_it() -> None:
    where = around("silent", taken=frozenset(["q"]))
    assert not is_lost(task(), where)
    assert not is_lost(task("PENDING"), where)
    assert is_lost(task("PENDING", queue="other"), where)


def test_nobody_listened() -> None:
    where = around("silent", listening_since=NOW - 30)
    assert not is_lost(task(), where)
    assert is_lost(task(), around("silent", listening_since=NOW - 90))


def test_the_message_is_not_confirmed() -> None:
    kept = frozenset(["t"])
    assert comes_again(task(), around("silent", unacked=kept))
    assert comes_again(task(), around("silent", confirmed={NAME: {"t": False}}))
    assert not comes_again(task(), around("silent", confirmed={NAME: {"t": True}}))
    assert not comes_again(task("PENDING"), around("silent", unacked=kept))


def test_one_of_several_processes_answers() -> None:
    told: dict[str, Any] = {"answered": frozenset([NAME]), "unheard": True}
    assert not was_dropped(task(), around("online", shared=True, **told))
    assert was_dropped(task(), around("online", **told))
    assert not is_lost(task(), around("online", shared=True, **told))


def test_a_clock_that_jumps_and_a_host_that_sleeps_are_breaks() -> None:
    attention = Attention(lambda: NOW - 50, NOW)
    for step in range(1, 5):
        attention.tick(NOW + step)
    assert attention.since(NOW + 5) == NOW
    assert attention.since(NOW + 3_600) == NOW + 3_600
    assert attention.since(NOW + 10) == NOW + 10, "a clock that was set back, too"
    assert Attention(lambda: NOW + 5, NOW).since(NOW + 6) == NOW + 5, "connected anew"
