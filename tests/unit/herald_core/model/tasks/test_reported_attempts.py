"""Attempt and worker of tasks of which the result backend alone tells the end."""

from typing import Any

import pytest

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import list_attempts, project
from herald_core.model.tasks.task import Task, merge
from herald_core.model.tasks.views import AttemptView, TaskView, to_rfc3339

AT = 1_800_000_000.0


def event(kind: str, clock: int, host: str = "w1@h", **fields: Any) -> Event:
    given: dict[str, Any] = {"pid": 7, "clock": clock, "at": AT + clock, **fields}
    return Event(kind=kind, task_id="t", host=host, **given)


def result(kind: str = "succeeded", **fields: Any) -> Event:
    """Return what a backend stores at the end, with `result_extended` or without."""
    given: dict[str, Any] = {"at": AT + 100, "source": "backend", **fields}
    return Event(kind=kind, task_id="t", **given)


SENT = event("sent", 1, "gen1@h", retries=0)
STARTED = event("started", 3)
EXTENDED: dict[str, Any] = {"host": "w2@h", "retries": 2}


def show(*events: Event) -> tuple[TaskView, list[AttemptView]]:
    task: Task | None = None
    for one in events:
        task = merge(task, one)
    assert task is not None
    return project(task), list_attempts(task)


def test_what_was_only_sent_ends_as_the_backend_says() -> None:
    view, [only] = show(SENT, result(host="w2@h", retries=0))
    assert (view.state, view.attempt, view.worker) == ("SUCCESS", 1, "w2@h")
    assert (only.state, only.attempt, only.worker) == ("SUCCESS", 1, "w2@h")
    assert only.finished_at == view.finished_at == to_rfc3339(AT + 100)


def test_without_extended_results_the_attempt_ends_all_the_same() -> None:
    view, [only] = show(SENT, result())
    assert (view.state, view.attempt, view.worker) == ("SUCCESS", 1, None)
    assert (only.state, only.attempt, only.worker) == ("SUCCESS", 1, None)


@pytest.mark.parametrize("before", [(), (SENT,), (SENT, STARTED)])
def test_a_later_attempt_is_named_by_its_retries(before: tuple[Event, ...]) -> None:
    view, listed = show(*before, result(**EXTENDED))
    assert (view.attempt, view.retries, view.worker) == (3, 2, "w2@h")
    assert view.started_at is None, "that was an earlier attempt"
    last = listed[-1]
    assert (last.attempt, last.retries, last.state) == (3, 2, "SUCCESS")
    assert last.worker == "w2@h"
    assert [one.attempt for one in listed] == ([1, 3] if before else [3])


def test_a_run_that_was_heard_to_start_ends_where_it_ran() -> None:
    view, [only] = show(SENT, STARTED, result("failed", exception="E(1)"))
    assert (view.state, view.worker) == ("FAILURE", "w1@h")
    assert (only.state, only.worker, only.exception) == ("FAILURE", "w1@h", "E(1)")


def test_events_that_come_late_take_nothing_back() -> None:
    early = show(result(**EXTENDED))[0]
    late, listed = show(
        result(**EXTENDED),
        event("received", 2, "w2@h", retries=2),
        event("started", 3, "w2@h"),
        event("succeeded", 100, "w2@h"),
    )
    assert (early.attempt, late.attempt) == (3, 3)
    assert [(one.attempt, one.state) for one in listed] == [(3, "SUCCESS")]


def test_an_end_that_an_event_tells_is_not_changed() -> None:
    """Both are shown: the task says that they contradict each other."""
    view, [only] = show(SENT, STARTED, event("failed", 4, exception="no"), result())
    assert view.conflict
    assert only.state == "FAILURE"


def test_a_result_without_retries_of_an_unheard_task_names_no_attempt() -> None:
    view, listed = show(result())
    assert (view.state, view.attempt, listed) == ("SUCCESS", None, [])
