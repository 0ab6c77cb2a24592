"""What silence proves: one test for each row of the table in reconciliation.md."""

from typing import Any

from herald_core.model.loss.loss_reasons import explain_loss
from herald_core.model.loss.lost_rules import (
    ClusterSnapshot,
    MissingSince,
    is_dropped,
    is_missing,
    needs_queue_lookup,
    will_be_redelivered,
)
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_monitor.ingest.listening_time import ListeningClock

NOW = 1_800_000_000.0
AFTER = 60.0
NAME = "w@h"


def task(state: str = "STARTED", *, ago: float = 500.0, queue: str = "q") -> TaskView:
    at, host = to_rfc3339(NOW - ago), None if state == "PENDING" else NAME
    return TaskView(id="t", state=state, updated_at=at, worker=host, queue=queue)


def around(state: str, ago: float = 500.0, **more: Any) -> ClusterSnapshot:
    at = to_rfc3339(NOW - ago)
    shared = bool(more.pop("shared", False))
    one = WorkerView(
        id=NAME, hostname=NAME, state=state, last_heartbeat_at=at, shared=shared
    )
    return ClusterSnapshot(taken_at=NOW, workers={NAME: one}, **more)


def is_lost(one: TaskView, where: ClusterSnapshot) -> bool:
    if not needs_queue_lookup(one, where, AFTER) or not is_missing(one, where):
        return False
    return bool(explain_loss(one, where, MissingSince(NOW - 200, 5), AFTER))


def test_silent_and_connected_may_be_busy() -> None:
    where = around("silent", reachable=frozenset([NAME]), has_silent_process=True)
    assert not is_lost(task(), where)
    assert not is_lost(task("RECEIVED"), where)
    assert not is_lost(task("PENDING"), where), "it tells what it took when it can"


def test_silent_and_not_connected_is_dead() -> None:
    assert is_lost(task(), around("silent"))
    assert not is_lost(task(), around("silent", ago=50.0))
    assert is_lost(task("PENDING"), around("silent"))


def test_a_consumer_that_is_not_heard_may_have_it() -> None:
    where = around("silent", hidden_queues=frozenset(["q"]))
    assert not is_lost(task(), where)
    assert not is_lost(task("PENDING"), where)
    assert is_lost(task("PENDING", queue="other"), where)


def test_nobody_listened() -> None:
    where = around("silent", listening_since=NOW - 30)
    assert not is_lost(task(), where)
    assert is_lost(task(), around("silent", listening_since=NOW - 90))


def test_the_message_is_not_confirmed() -> None:
    kept = frozenset(["t"])
    assert will_be_redelivered(task(), around("silent", unacked=kept))
    assert will_be_redelivered(task(), around("silent", confirmed={NAME: {"t": False}}))
    assert not will_be_redelivered(
        task(), around("silent", confirmed={NAME: {"t": True}})
    )
    assert not will_be_redelivered(task("PENDING"), around("silent", unacked=kept))


def test_one_of_several_processes_answers() -> None:
    told: dict[str, Any] = {"answered": frozenset([NAME]), "has_silent_process": True}
    assert not is_dropped(task(), around("online", shared=True, **told))
    assert is_dropped(task(), around("online", **told))
    assert not is_lost(task(), around("online", shared=True, **told))


def test_a_clock_that_jumps_and_a_host_that_sleeps_are_breaks() -> None:
    attention = ListeningClock(lambda: NOW - 50, NOW)
    for step in range(1, 5):
        attention.tick(NOW + step)
    assert attention.get_start(NOW + 5) == NOW
    assert attention.get_start(NOW + 3_600) == NOW + 3_600
    assert attention.get_start(NOW + 10) == NOW + 10, "a clock that was set back, too"
    assert ListeningClock(lambda: NOW + 5, NOW).get_start(NOW + 6) == NOW + 5, (
        "connected anew"
    )
