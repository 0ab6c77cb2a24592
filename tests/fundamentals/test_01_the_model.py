"""How Herald thinks, one idea a test. No broker, no store: only words and what
they mean.
"""

from herald_core.model.events.event import parse_event
from herald_core.model.tasks.projection import list_attempts, project
from herald_core.model.tasks.task import Task, merge
from herald_core.model.tasks.views import to_dict

NOON = 1_800_014_400.0


def say(
    kind: str, clock: int, worker: str = "w1@host", **more: object
) -> dict[str, object]:
    """Return an event as Celery sends it."""
    return {
        "type": f"task-{kind}",
        "uuid": "d3b07384",
        "hostname": worker,
        "pid": 17,
        "clock": clock,
        "timestamp": NOON + clock,
        **more,
    }


def hear(*events: dict[str, object]) -> Task:
    """Merge what was said into one task."""
    task: Task | None = None
    for raw in events:
        event = parse_event(raw, heard=NOON + 60)
        assert event is not None
        task = merge(task, event)
    assert task is not None
    return task


RECEIVED = say("received", 1, name="reports.daily", args="(7,)", retries=0)
STARTED = say("started", 2)
SUCCEEDED = say("succeeded", 3, result="42", runtime=0.5)


def test_a_task_is_what_was_said_of_it() -> None:
    shown = to_dict(project(hear(RECEIVED, STARTED, SUCCEEDED)))
    assert shown["name"] == "reports.daily"
    assert shown["state"] == "SUCCESS"
    assert shown["result"] == "42"
    assert shown["runtime"] == 0.5
    assert shown["worker"] == "w1@host"
    assert shown["started_at"] == "2027-01-15T12:00:02.000Z"
    assert shown["final"] is True


def test_what_is_not_known_is_left_out() -> None:
    shown = to_dict(project(hear(STARTED)))
    assert shown["state"] == "STARTED"
    assert "name" not in shown
    assert "result" not in shown


def test_order_does_not_matter() -> None:
    assert hear(SUCCEEDED, RECEIVED, STARTED) == hear(RECEIVED, STARTED, SUCCEEDED)


def test_repetition_does_not_matter() -> None:
    task = hear(RECEIVED, STARTED)
    again = parse_event(STARTED, heard=NOON + 90)
    assert again is not None
    assert merge(task, again) is task


def test_a_retry_makes_a_new_attempt() -> None:
    retried = hear(
        RECEIVED,
        STARTED,
        say("retried", 3, exception="Timeout()"),
        say("received", 4, retries=1),
        say("started", 5),
        say("succeeded", 6, result="42", runtime=0.5),
    )
    assert project(retried).attempt == 2
    assert [one.state for one in list_attempts(retried)] == ["RETRY", "SUCCESS"]


def test_a_worker_whose_clock_is_wrong_confuses_nothing() -> None:
    """The second worker's clock is ten minutes behind."""
    task = hear(
        RECEIVED,
        STARTED,
        say("retried", 3),
        say("received", 1, "w2@host", retries=1, timestamp=NOON - 600),
        say("started", 2, "w2@host", timestamp=NOON - 599),
        say("succeeded", 3, "w2@host", timestamp=NOON - 598, result="42", runtime=0.5),
    )
    assert project(task).state == "SUCCESS"
    assert project(task).worker == "w2@host"


def test_a_contradiction_is_kept_and_shown() -> None:
    shown = project(hear(RECEIVED, STARTED, SUCCEEDED, say("failed", 9)))
    assert shown.state == "SUCCESS"
    assert shown.conflict


def test_progress_is_shown_while_the_task_runs() -> None:
    halfway = say("progress", 3, current=5, total=10, message="half")
    progress = project(hear(RECEIVED, STARTED, halfway)).progress
    assert progress is not None
    assert (progress.percent, progress.message) == (50.0, "half")
