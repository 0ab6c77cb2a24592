"""What signals know of a task waits for the event that tells it."""

from __future__ import annotations

from typing import Any

from herald_core.model.schedules.spec import make_tag
from herald_worker.outbox.extras import WaitingExtras, add_extras, note_sent


def note(task_id: str, headers: dict[str, Any], embedded: dict[str, Any]) -> None:
    note_sent({"id": task_id, **headers}, ((), {}, embedded), {"priority": 3})


def test_sending_tells_what_the_message_says() -> None:
    headers = {
        "group": "g1",
        "group_index": 2,
        "traceparent": "00-1-2-01",
        "stamps": {"tenant": "a"},
        "herald_tags": ["user:42"],
    }
    note("t1", headers, {"chord": {"options": {"task_id": "body"}}})
    event = {"type": "task-sent", "uuid": "t1", "queue": "default"}
    assert add_extras("task-sent", event) == {
        **event,
        "group_id": "g1",
        "group_index": 2,
        "traceparent": "00-1-2-01",
        "stamps": {"tenant": "a"},
        "tags": ["user:42"],
        "chord_id": "body",
        "priority": 3,
    }


def test_the_schedule_of_a_periodic_task_becomes_a_tag() -> None:
    """django-celery-beat names it in the message."""
    headers = {"periodic_task_name": "every night", "herald_tags": ["user:42"]}
    note("t5", headers, {})
    told = add_extras("task-sent", {"type": "task-sent", "uuid": "t5"})
    assert told["tags"] == [make_tag("every night"), "user:42"]


def test_a_header_that_is_added_later_is_told_too() -> None:
    """As OpenTelemetry does, whose receiver of the signal may come after ours."""
    headers = {"id": "t2"}
    note_sent(headers, ((), {}, {}), {})
    headers["traceparent"] = "00-1-2-01"
    told = add_extras("task-sent", {"type": "task-sent", "uuid": "t2"})
    assert told["traceparent"] == "00-1-2-01"


def test_what_celery_says_itself_is_not_replaced() -> None:
    note("t3", {"group": "g1"}, {})
    event = {"type": "task-sent", "uuid": "t3", "group_id": "own"}
    assert add_extras("task-sent", event)["group_id"] == "own"


def test_other_events_stay_as_they_are() -> None:
    event = {"type": "task-started", "uuid": "t4"}
    assert add_extras("task-started", event) is event
    assert add_extras("task-sent", {"type": "task-sent", "uuid": "t4"})


def test_what_no_event_asks_for_is_forgotten() -> None:
    waiting = WaitingExtras(max_tasks=3)
    for number in range(5):
        waiting.add(str(number), {"queue": "q"})
    assert len(waiting) == 3
    assert waiting.pop("0") is None
    assert waiting.pop("4") == {"queue": "q"}
