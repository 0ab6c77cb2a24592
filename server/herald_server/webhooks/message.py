"""A change as it is posted. Pure.

    {"type": "task.succeeded", "timestamp": "…", "data": {the task, as everywhere}}

or, as CloudEvents 1.0 in structured mode, the same `data` in their envelope. The
`webhook-id` is made of the change's `rev`, so it is the same whenever, by whichever
process, and to whomever the change is sent: receivers tell repetitions by it.
"""

from __future__ import annotations

import hashlib

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.changes import TASK, Change
from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Before
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.vector import parse_any_cursor
from herald_server.webhooks.endpoint import UPDATES, Endpoint

RESET = "herald.reset"
UPDATED = "task.updated"
TYPES = {
    shape.PENDING: "task.pending",
    shape.RECEIVED: "task.received",
    shape.STARTED: "task.started",
    shape.RETRY: "task.retried",
    shape.SUCCESS: "task.succeeded",
    shape.FAILURE: "task.failed",
    shape.REVOKED: "task.revoked",
    shape.REJECTED: "task.rejected",
    shape.IGNORED: "task.ignored",
    shape.LOST: "task.lost",
}
"""The type of a change by the state that it leads to."""

RUN_AGAIN = frozenset([shape.STARTED, *shape.FINAL])
"""States that say something new when another run is in them."""

SOURCE = "/celery-herald"
MEDIA_TYPES = {
    "herald": "application/json",
    "cloudevents": "application/cloudevents+json",
}

Place = tuple[int, int, int]
"""Epoch, number and field of a change: their order is that of a task's changes."""


class Message(msgspec.Struct, eq=False):
    """What is posted to one endpoint. Only the last fields ever change.

    `lane` names what it must stay in order with: a task. `since` is when it was
    tried first, in unix seconds.
    """

    id: str
    type: str
    lane: str
    place: Place
    at: str
    body: bytes
    attempts: int = 0
    since: float = 0.0
    why: str = ""
    """What the last attempt came to."""


def of_change(change: Change, endpoint: Endpoint) -> Message | None:
    """Return what `endpoint` is told of `change`, if anything."""
    task = change.task
    if change.kind != TASK or change.gone or task is None:
        return None
    if not endpoint.filter.matches(task):
        return None
    moved = _moved(change.before, task)
    if task.state not in endpoint.states if moved else UPDATES not in endpoint.on:
        return None
    type_ = TYPES[task.state] if moved else UPDATED
    return _message(endpoint, type_, task, change.json, change.rev)


def _moved(before: Before | None, task: TaskImage) -> bool:
    """Say whether a change led to the state that the task is in now."""
    if before is None or before.state != task.state:
        return True
    # Another run came to the same before the store was told of what lay between.
    return before.attempt is not None and task.state in RUN_AGAIN


def of_image(task: TaskImage, endpoint: Endpoint) -> Message:
    """Return what is told of a stored task after changes were missed."""
    json = to_json(task)
    type_ = TYPES.get(task.state, UPDATED)
    return _message(endpoint, type_, task, json, task.rev or "0-0.0", True)


def of_reset(
    endpoint: Endpoint, reason: str, since: Cursor, end: Cursor, now: float
) -> Message:
    """Return the news that changes behind `since` were missed."""
    told = {
        "reason": reason,
        "since": str(since),
        "until": str(end),
        "message": "Changes between the two cursors were missed; the tasks that match "
        "and that changed since follow as they are now, marked as snapshot.",
    }
    at = shape.rfc3339(now)
    # Hashed, for the cursor of a store of many partitions is long.
    id_ = f"reset-{hashlib.sha256(str(since).encode()).hexdigest()[:24]}"
    body = _body(endpoint, id_, RESET, at, "", to_json(told), False)
    return Message(id_, RESET, "", (end.epoch, end.n, -1), at, body)


def place_of(rev: str) -> Place:
    """Return the place of a change that `rev` names."""
    cursor, _, number = rev.partition(".")
    place = parse_any_cursor(cursor)
    return place.epoch, place.n, int(number or 0)


def _message(
    endpoint: Endpoint,
    type_: str,
    task: TaskImage,
    json: bytes,
    rev: str,
    snapshot: bool = False,
) -> Message:
    # A full stop separates what is signed, so ids had better have none.
    id_ = f"msg-{rev.replace('.', '-')}"
    at = task.updated_at or task.as_of or ""
    body = _body(endpoint, id_, type_, at, task.id, json, snapshot)
    return Message(id_, type_, task.id, place_of(rev), at, body)


def _body(
    endpoint: Endpoint,
    id_: str,
    type_: str,
    at: str,
    subject: str,
    data: bytes,
    snapshot: bool,
) -> bytes:
    marked = {"snapshot": True} if snapshot else {}
    if endpoint.format == "cloudevents":
        envelope = {
            "specversion": "1.0",
            "id": id_,
            "source": SOURCE,
            "type": type_,
            **({"subject": subject} if subject else {}),
            "time": at,
            "datacontenttype": "application/json",
            **marked,
        }
    else:
        envelope = {"type": type_, "timestamp": at, **marked}
    return b'%b,"data":%b}' % (to_json(envelope)[:-1], data)
