"""Changes of tasks as occurrences of the extension `…/events`. Pure.

A cursor is `E-n` (after that entry of the log) or `E-n.i` (after change `i` of it,
which is the `rev` of that change and the id of its occurrence).
"""

from __future__ import annotations

from typing import Any

from herald_core.errors import InvalidCursor
from herald_core.model.changes import TASK, Change
from herald_core.model.filters import KEYS, Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import FINAL_STATES, TaskView
from herald_core.model.vector_cursor import VectorCursor, parse_any_cursor
from herald_server.push.log.tail import LogPosition

EVENT_TYPES: dict[str, tuple[str, frozenset[str] | None]] = {
    "task.changed": ("Anything about a task changed, progress too", None),
    "task.queued": ("A task was sent", frozenset([views.PENDING])),
    "task.received": ("A worker took a task", frozenset([views.RECEIVED])),
    "task.started": ("A task began to run", frozenset([views.STARTED])),
    "task.retried": (
        "An attempt failed, and will be made again",
        frozenset([views.RETRY]),
    ),
    "task.succeeded": ("A task succeeded", frozenset([views.SUCCESS])),
    "task.failed": ("A task failed", frozenset([views.FAILURE])),
    "task.revoked": ("A task was cancelled", frozenset([views.REVOKED])),
    "task.rejected": ("A worker rejected a task", frozenset([views.REJECTED])),
    "task.ignored": (
        "A task ended in a state of its own, without a result",
        frozenset([views.IGNORED]),
    ),
    "task.lost": ("No worker knows of a task any more", frozenset([views.LOST])),
    "task.ended": ("A task ended in any way, or got lost", FINAL_STATES | {views.LOST}),
}
"""What can happen, and the states that it enters (None: any change)."""


def parse_position(text: str) -> LogPosition:
    """Return the position written as `text`. Raises `InvalidCursor`."""
    cursor, *numbers = text.split(".", 3)
    place = parse_any_cursor(cursor)
    if not numbers:
        return LogPosition(place)
    has_parts = isinstance(place, VectorCursor)
    if len(numbers) != 1 + has_parts or not all(map(_is_small_number, numbers)):
        raise InvalidCursor(
            f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
            "cursor",
        )
    if isinstance(place, VectorCursor):
        moved = int(numbers[0])
        if moved < len(place.parts):
            place = VectorCursor(place.parts, moved)
    return LogPosition(place, int(numbers[-1]))


def _is_small_number(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 9


def find_matching_task(name: str, filter_: Filter, change: Change) -> TaskView | None:
    """Return the task of `change` if the event `name` matches it."""
    task = change.task
    if (
        change.kind != TASK
        or task is None
        or change.is_deletion
        or not filter_.matches(task)
    ):
        return None
    states = EVENT_TYPES[name][1]
    if states is None:
        return task
    before = change.before.state if change.before else None
    return task if task.state in states and task.state != before else None


def make_occurrence(name: str, change: Change, task: TaskView) -> dict[str, Any]:
    """Return the JSON object of an occurrence."""
    return {
        "eventId": change.rev,
        "name": name,
        "timestamp": task.updated_at or task.as_of,
        "data": {**views.to_dict(task), "rev": change.rev},
        "cursor": change.rev,
    }


def describe_types() -> list[dict[str, Any]]:
    """Return all event types, for `events/list`."""
    return [
        {
            "name": name,
            "description": description,
            "delivery": ["poll", "push"],
            "inputSchema": _make_arguments_schema(),
            "payloadSchema": _make_payload_schema(),
        }
        for name, (description, _) in EVENT_TYPES.items()
    ]


def _make_arguments_schema() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    some = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    return {
        "type": "object",
        "description": "Lists are OR, keys are AND; * and ? are wild in name, worker "
        "and queue. Empty: every task.",
        "properties": dict.fromkeys(KEYS, some),
        "additionalProperties": False,
    }


def _make_payload_schema() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "The task as it is after the change",
        "properties": {
            **dict.fromkeys(("id", "name", "worker", "queue", "exception"), text),
            "state": {"type": "string", "enum": list(views.STATES)},
            "attempt": {"type": "integer"},
            "progress": {"type": "object"},
            "final": {"type": "boolean"},
        },
        "required": ["id", "state"],
    }
