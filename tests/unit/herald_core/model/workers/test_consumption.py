"""What waits may be with a consumer that RabbitMQ gave it to."""

from typing import Any

import pytest

from herald_core.model.loss.loss_reasons import explain_loss
from herald_core.model.loss.lost_rules import ClusterSnapshot, MissingSince, is_missing
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.consumption import ConsumptionTracker
from herald_core.model.workers.worker import WorkerView

T0 = 1_800_000_000.0
NAME = "w@h"


def worker(processed: int | None, **more: Any) -> WorkerView:
    told: dict[str, Any] = {"state": "online", **more}
    return WorkerView(id=NAME, hostname=NAME, processed=processed, **told)


def noted(*counts: WorkerView) -> dict[str, float]:
    """Return when the queue `q` was taken from, after one look a second."""
    consumption = ConsumptionTracker()
    workers: dict[str, WorkerView] = {}
    for second, one in enumerate(counts):
        workers = {NAME: one}
        consumption.record(workers, T0 + second)
    return consumption.find_last_taken({NAME: {"q"}}, workers)


def test_a_worker_took_a_message_when_its_count_last_changed() -> None:
    assert noted(worker(1), worker(2), worker(2), worker(2)) == {"q": T0 + 1}


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_a_pool_of_greenlets_that_is_full_may_hold_its_worker_up(pool: str) -> None:
    full = worker(5, pool=pool, active=4, slots=4)
    free = worker(5, pool=pool, active=3, slots=4)
    assert noted(full, full, full) == {"q": T0 + 2}
    assert noted(full, free, free) == {"q": T0}
    assert noted(worker(5, pool="prefork", active=4, slots=4), full) == {"q": T0 + 1}


def test_of_a_worker_that_does_not_count_it_is_not_known() -> None:
    assert noted(worker(None), worker(None)) == {"q": T0 + 1}


def test_a_worker_that_is_gone_takes_nothing() -> None:
    assert noted(worker(1), worker(2, state="silent")) == {}
    consumption = ConsumptionTracker()
    consumption.record({NAME: worker(1)}, T0)
    consumption.record({}, T0 + 1)
    assert consumption.find_last_taken({NAME: {"q"}}, {}) == {}


def test_a_task_is_not_lost_while_messages_of_its_queue_are_taken() -> None:
    at = to_rfc3339(T0)
    task = TaskView(id="t", state="RETRY", updated_at=at, queue="q")
    absence = MissingSince(T0, checks=9)

    def lost(last_taken: float, now: float, queue: str = "q") -> bool:
        where = ClusterSnapshot(taken_at=now, last_taken={queue: last_taken})
        return bool(explain_loss(task, where, absence, lost_after=60.0))

    assert not lost(T0 + 100, now=T0 + 159)
    assert lost(T0 + 100, now=T0 + 160)
    assert lost(T0 + 100, now=T0 + 60, queue="other")


def test_a_task_that_a_rate_limit_keeps_back_is_not_absent() -> None:
    """No answer names it, and RabbitMQ shows no message that it gave out."""
    task = TaskView(id="t", state="RECEIVED", worker=NAME, received_at=to_rfc3339(T0))

    def absent(started_at: float, **more: Any) -> bool:
        workers = {NAME: worker(5, started_at=to_rfc3339(started_at))}
        seen: dict[str, Any] = {"last_taken": {"q": T0}, **more}
        answered = frozenset([NAME])
        where = ClusterSnapshot(
            taken_at=T0 + 900, workers=workers, answered=answered, **seen
        )
        return is_missing(task, where)

    assert not absent(T0 - 100)
    assert absent(T0 + 100), "another process has the name since"
    assert absent(T0 - 100, last_taken={}), "Redis would show it"
    assert absent(T0 - 100, unrecoverable=frozenset(["t"])), (
        "its worker limits no such task"
    )


def test_a_rate_limit_of_a_worker_that_is_not_known_keeps_nothing_back() -> None:
    task = TaskView(id="t", state="RECEIVED", worker=NAME, received_at=to_rfc3339(T0))
    where = ClusterSnapshot(taken_at=T0 + 900, workers={}, last_taken={"q": T0})
    assert is_missing(task, where)
