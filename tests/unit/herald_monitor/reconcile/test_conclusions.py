"""What is concluded of a task that no source knows."""

from typing import Any

import pytest

from herald_core.model.events.event import Event
from herald_core.model.loss.lost_rules import ClusterSnapshot, MissingSince
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_monitor.reconcile.conclusions import (
    ScanEvidence,
    decide_outcome,
    is_loss,
    make_ended_event,
)

NOW = 1_800_000_000.0
LONG_AGO = MissingSince(NOW - 200, 5)


def task(**more: Any) -> TaskView:
    """Return a task that started on w@h long ago."""
    at = to_rfc3339(NOW - 500)
    return TaskView(id="t", state="STARTED", updated_at=at, worker="w@h", **more)


def evidence(
    state: str = "silent", superseded: dict[str, Event] | None = None, **more: Any
) -> ScanEvidence:
    """Return the evidence of a scan in which w@h is in `state` since long ago."""
    at = to_rfc3339(NOW - 500)
    worker = WorkerView(id="w@h", hostname="w@h", state=state, last_heartbeat_at=at)
    where = ClusterSnapshot(taken_at=NOW, workers={"w@h": worker}, **more)
    return ScanEvidence(where, [], superseded or {}, lost_after=60.0)


def test_a_task_of_a_silent_worker_is_lost() -> None:
    event = decide_outcome(task(), LONG_AGO, evidence())
    assert event is not None
    assert is_loss(event)
    assert (event.kind, event.source, event.at) == ("lost", "inferred", NOW)
    assert "silent for 500 s" in (event.exception or "")


@pytest.mark.parametrize("absence", [MissingSince(NOW, 1), MissingSince(NOW - 200, 1)])
def test_nothing_is_concluded_of_a_task_that_a_living_worker_may_still_report(
    absence: MissingSince,
) -> None:
    living = evidence("online", answered=frozenset(["w@h"]))
    assert decide_outcome(task(), absence, living) is None


def test_a_task_whose_outcome_nobody_reports_ended() -> None:
    event = decide_outcome(task(), LONG_AGO, evidence(unrecoverable=frozenset(["t"])))
    assert event is not None
    assert not is_loss(event)
    assert event.kind == "ended"


def test_the_stored_result_counts_again_once_a_later_delivery_is_over() -> None:
    stored = Event(kind="succeeded", task_id="t", at=NOW - 900, result="3")
    event = decide_outcome(task(), LONG_AGO, evidence(superseded={"t": stored}))
    assert event is not None
    assert not is_loss(event)
    assert (event.kind, event.result, event.at) == ("succeeded", "3", NOW)


def test_an_unheard_end_says_why_it_is_concluded() -> None:
    event = make_ended_event(task(), NOW)
    assert (event.kind, event.source) == ("ended", "inferred")
    assert event.exception
