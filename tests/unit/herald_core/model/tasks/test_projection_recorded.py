"""What real workers said of real tasks, whole, shuffled and with losses."""

from collections.abc import Iterator
from random import Random

import pytest

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import list_attempts
from herald_core.model.tasks.views import TaskView
from tests.support.model.events import known, shown
from tests.support.model.recordings import RECORDINGS, Recorded, recorded_tasks

TOLD_BY_EVENTS_ALONE = {
    # The backend is silent, or knows an end that no event tells.
    "Ignore": "STARTED",
    "send_events=False": "PENDING",
    "worker SIGKILL, whole tree, mid-task (acks_early)": "STARTED",
    "ignore_result": "SUCCESS",
}

NUMBER_OF_ATTEMPTS = {
    "retry2": 3,
    "retry_exhaust": 2,
    "child SIGKILL (acks_late+reject_on_worker_lost)": 2,
    "Reject requeue=True": 2,
    "replace": 2,
}

STRANGER = {
    # Celery tells both of one ending; each alone is true, and both are final.
    ("Reject requeue=False", "failed"): "REJECTED",
}

all_tasks = pytest.mark.parametrize("task", recorded_tasks(), ids=str)


def expected(task: Recorded) -> str:
    """Return the state that the events of `task` can tell."""
    if task.scenario.startswith("worker SIGKILL") and task.backend:
        return task.backend
    return TOLD_BY_EVENTS_ALONE.get(task.scenario) or str(task.backend)


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recordings_hold_every_scenario(recording: str) -> None:
    found = {t.scenario for t in recorded_tasks() if t.recording == recording}
    # Threads cannot be killed one by one.
    assert len(found) >= (28 if recording == "threads-redis" else 31)


@all_tasks
def test_state_is_what_the_result_backend_says(task: Recorded) -> None:
    image = shown(task.events)
    assert image.state == expected(task)
    assert not image.conflict


@all_tasks
def test_attempts_are_counted(task: Recorded) -> None:
    number = NUMBER_OF_ATTEMPTS.get(task.scenario, 1)
    assert shown(task.events).attempt == number
    assert len(list_attempts(known(task.events))) == number


@all_tasks
def test_order_of_hearing_does_not_matter(task: Recorded) -> None:
    random = Random(7)
    whole = known(task.events)
    for _ in range(12):
        shuffled = random.sample(task.events, len(task.events))
        assert known(shuffled) == whole


def losses() -> Iterator[tuple[Recorded, Event, TaskView]]:
    """Yield every task with every single one of its events lost."""
    for task in recorded_tasks():
        for i, lost in enumerate(task.events):
            left = (*task.events[:i], *task.events[i + 1 :])
            if left:
                yield task, lost, shown(left)


def test_a_lost_event_never_gives_a_wrong_final_state() -> None:
    wrong = {
        (task.scenario, lost.kind): left.state
        for task, lost, left in losses()
        if left.final and left.state != expected(task)
    }
    assert wrong == STRANGER


def test_only_the_loss_of_the_last_word_leaves_a_state_behind() -> None:
    """Nothing but the lost event itself knew better; asking repairs it."""
    for task, lost, left in losses():
        if left.state != expected(task) and (task.scenario, lost.kind) not in STRANGER:
            last = max(
                (e for e in task.events if e.kind not in ("sent", "progress")),
                key=lambda e: e.at,
            )
            assert lost is last, f"{task}: {lost.kind} lost, shown {left.state}"


def test_a_lost_event_raises_no_conflict() -> None:
    assert not [str(task) for task, _, left in losses() if left.conflict]
