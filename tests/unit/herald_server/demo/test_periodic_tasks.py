"""The periodic tasks of the sample project: what is submitted, and what is left out."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from herald_server.demo.app import make_app
from herald_server.demo.periodic_tasks import (
    MISSED_EACH,
    MISSED_NAME,
    PERIODIC_TASKS,
    Beat,
    MissingScheduler,
)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """The scheduler, and the names of what it has submitted."""
    made = cast(Any, MissingScheduler(app=make_app("memory://", "cache+memory://")))
    sent: list[str] = []

    def submit(entry: Any, **_: Any) -> None:
        sent.append(entry.name)

    monkeypatch.setattr(made, "apply_async", submit)
    return made, sent


def test_all_periodic_tasks_of_the_project_are_scheduled(
    scheduler: tuple[Any, list[str]],
) -> None:
    assert scheduler[0].schedule.keys() >= PERIODIC_TASKS.keys()


def test_each_third_run_of_one_is_left_out(scheduler: tuple[Any, list[str]]) -> None:
    made, sent = scheduler
    entry = made.schedule[MISSED_NAME]
    submitted: list[bool] = []
    for _ in range(2 * MISSED_EACH):
        before = len(sent)
        made.apply_entry(entry)
        submitted.append(len(sent) > before)
        entry = next(entry)  # as Celery's scheduler does
    assert submitted == [True, False, True] * 2


def test_all_runs_of_others_are_submitted(scheduler: tuple[Any, list[str]]) -> None:
    made, sent = scheduler
    entry = made.schedule["roster-check"]
    for _ in range(MISSED_EACH):
        made.apply_entry(entry)
        entry = next(entry)
    assert sent == ["roster-check"] * MISSED_EACH


def test_it_ends_when_it_is_told_to() -> None:
    stop = threading.Event()
    thread = threading.Thread(
        target=Beat(make_app("memory://", "cache+memory://")).run, args=(stop,)
    )
    thread.start()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
