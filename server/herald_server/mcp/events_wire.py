"""Changes of tasks as occurrences of the extension `…/events`. Pure.

A cursor is `E-n` (behind that entry of the log) or `E-n.i` (behind change `i` of
it, which is the `rev` of that change and the id of its occurrence).
"""

from __future__ import annotations

from typing import Any

import msgspec

from herald_monitor.errors import BadCursor
from herald_monitor.model import shape
from herald_monitor.model.changes import TASK, Change
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import KEYS, Filter
from herald_monitor.model.shape import FINAL, TaskImage
from herald_monitor.model.vector import Vector, parse_any_cursor

NAMES: dict[str, tuple[str, frozenset[str] | None]] = {
    "task.changed": ("Anything about a task changed, progress too", None),
    "task.queued": ("A task was sent", frozenset([shape.PENDING])),
    "task.received": ("A worker took a task", frozenset([shape.RECEIVED])),
    "task.started": ("A task began to run", frozenset([shape.STARTED])),
    "task.retried": (
        "An attempt failed, and will be made again",
        frozenset([shape.RETRY]),
    ),
    "task.succeeded": ("A task succeeded", frozenset([shape.SUCCESS])),
    "task.failed": ("A task failed", frozenset([shape.FAILURE])),
    "task.revoked": ("A task was cancelled", frozenset([shape.REVOKED])),
    "task.rejected": ("A worker rejected a task", frozenset([shape.REJECTED])),
    "task.ignored": (
        "A task ended in a state of its own, without a result",
        frozenset([shape.IGNORED]),
    ),
    "task.lost": ("No worker knows of a task any more", frozenset([shape.LOST])),
    "task.ended": ("A task ended in any way, or got lost", FINAL | {shape.LOST}),
}
"""What can happen, and the states that it enters (None: any change)."""


class Place(msgspec.Struct, frozen=True):
    """How far the log was read: behind `cursor`, or behind change `number` of it."""

    cursor: Cursor
    number: int | None = None

    def __str__(self) -> str:
        if self.number is None:
            return str(self.cursor)
        # Of several logs, the one whose entry it is within.
        of = f".{self.cursor.moved}" if isinstance(self.cursor, Vector) else ""
        return f"{self.cursor}{of}.{self.number}"


def parse_place(text: str) -> Place:
    """Return the place written as `text`. Raises `BadCursor`."""
    cursor, *numbers = text.split(".", 3)
    place = parse_any_cursor(cursor)
    if not numbers:
        return Place(place)
    within = isinstance(place, Vector)
    if len(numbers) != 1 + within or not all(map(_small, numbers)):
        raise BadCursor(
            f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
            "cursor",
        )
    if isinstance(place, Vector):
        moved = int(numbers[0])
        if moved < len(place.parts):
            place = Vector(place.parts, moved)
    return Place(place, int(numbers[-1]))


def _small(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 9


def occurred(name: str, filter_: Filter, change: Change) -> TaskImage | None:
    """Return the task to which `name` happened with `change`, if it did."""
    task = change.task
    if change.kind != TASK or task is None or change.gone or not filter_.matches(task):
        return None
    states = NAMES[name][1]
    if states is None:
        return task
    before = change.before.state if change.before else None
    return task if task.state in states and task.state != before else None


def occurrence(name: str, change: Change, task: TaskImage) -> dict[str, Any]:
    """Return what happened, as it goes to the wire."""
    return {
        "eventId": change.rev,
        "name": name,
        "timestamp": task.updated_at or task.as_of,
        "data": {**shape.to_dict(task), "rev": change.rev},
        "cursor": change.rev,
    }


def described() -> list[dict[str, Any]]:
    """Return all event types, for `events/list`."""
    return [
        {
            "name": name,
            "description": description,
            "delivery": ["poll", "push"],
            "inputSchema": _arguments(),
            "payloadSchema": _payload(),
        }
        for name, (description, _) in NAMES.items()
    ]


def _arguments() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    some = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    return {
        "type": "object",
        "description": "Lists are OR, keys are AND; * and ? are wild in name, worker "
        "and queue. Empty: every task.",
        "properties": dict.fromkeys(KEYS, some),
        "additionalProperties": False,
    }


def _payload() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "The task as it is after the change",
        "properties": {
            **dict.fromkeys(("id", "name", "worker", "queue", "exception"), text),
            "state": {"type": "string", "enum": list(shape.STATES)},
            "attempt": {"type": "integer"},
            "progress": {"type": "object"},
            "final": {"type": "boolean"},
        },
        "required": ["id", "state"],
    }
