"""A change as it is posted. Pure.

    {"type": "task.succeeded", "timestamp": "…", "data": {the task, as everywhere}}

or, as CloudEvents 1.0 in structured mode, the same `data` in their envelope. The
`webhook-id` is made of the change's `rev`, so it is the same whenever, by whichever
process, and to whomever the change is sent: receivers tell repetitions by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from herald_core.model.alerts.alert import ALERT_KIND, NOTICE_TYPES
from herald_core.model.changes import TASK, Change
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import PreviousValues
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.model.vector_cursor import parse_rev
from herald_server.webhooks.endpoint import ALERTS, UPDATES, WebhookEndpoint

RESET_TYPE = "herald.reset"
UPDATED_TYPE = "task.updated"
STATE_TYPES = {
    views.PENDING: "task.pending",
    views.RECEIVED: "task.received",
    views.STARTED: "task.started",
    views.RETRY: "task.retried",
    views.SUCCESS: "task.succeeded",
    views.FAILURE: "task.failed",
    views.REVOKED: "task.revoked",
    views.REJECTED: "task.rejected",
    views.IGNORED: "task.ignored",
    views.LOST: "task.lost",
}
"""The type of a change by the state that it leads to."""

RUN_AGAIN = frozenset([views.STARTED, *views.FINAL_STATES])
"""States that are news when another run reaches them."""

SOURCE = "/celery-herald"
MEDIA_TYPES = {
    "herald": "application/json",
    "cloudevents": "application/cloudevents+json",
}

ChangePosition = tuple[int, int, int]
"""Epoch, number and field of a change: their order is that of a task's changes."""


class WebhookMessage(msgspec.Struct, eq=False):
    """A message to one endpoint. Only the last fields ever change.

    `lane` is the key of its order: a task. `since` is its first attempt, in unix
    seconds.
    """

    id: str
    type: str
    lane: str
    place: ChangePosition
    at: str
    body: bytes
    attempts: int = 0
    since: float = 0.0
    why: str = ""
    """What the last attempt came to."""


def make_change_message(
    change: Change, endpoint: WebhookEndpoint
) -> WebhookMessage | None:
    """Return the message about `change` for `endpoint`; None if it does not match."""
    if change.kind == ALERT_KIND and not change.is_deletion:
        data: dict[str, Any] = msgspec.json.decode(change.json)
        is_news = data.get("change") in NOTICE_TYPES
        return make_alert_message(data, endpoint) if is_news else None
    task = change.task
    if change.kind != TASK or change.is_deletion or task is None:
        return None
    if not endpoint.filter.matches(task):
        return None
    moved = _is_transition(change.before, task)
    if task.state not in endpoint.states if moved else UPDATES not in endpoint.on:
        return None
    type_ = STATE_TYPES[task.state] if moved else UPDATED_TYPE
    return _make_message(endpoint, type_, task, change.json, change.rev)


def make_alert_message(
    alert: Mapping[str, Any], endpoint: WebhookEndpoint
) -> WebhookMessage | None:
    """Return the message about the newest notice of an alert (its public view).

    Its id is that of the notice, so a receiver gets each once even if it is sent again.
    """
    if ALERTS not in endpoint.on or not alert.get("notices"):
        return None
    notice = alert["notices"][-1]
    cursor, number = parse_rev(alert["rev"])
    id_, type_ = f"alert-{notice['id']}", f"alert.{notice['type']}"
    data = {key: value for key, value in alert.items() if key != "notices"}
    body = _encode_body(
        endpoint, id_, type_, notice["at"], alert["id"], to_json(data), False
    )
    lane = f"alert {alert['id']}"
    place = cursor.epoch, cursor.n, number
    return WebhookMessage(id_, type_, lane, place, notice["at"], body)


def _is_transition(before: PreviousValues | None, task: TaskView) -> bool:
    """Return True if a change led to the task's current state."""
    if before is None or before.state != task.state:
        return True
    # Another run reached the same state before the changes between were stored.
    return before.attempt is not None and task.state in RUN_AGAIN


def make_task_message(task: TaskView, endpoint: WebhookEndpoint) -> WebhookMessage:
    """Return the message about a stored task after changes were missed."""
    json = to_json(task)
    type_ = STATE_TYPES.get(task.state, UPDATED_TYPE)
    return _make_message(endpoint, type_, task, json, task.rev or "0-0.0", True)


def make_reset_message(
    endpoint: WebhookEndpoint, reason: str, since: Cursor, end: Cursor, now: float
) -> WebhookMessage:
    """Return the message that changes after `since` were missed."""
    data = {
        "reason": reason,
        "since": str(since),
        "until": str(end),
        "message": "Changes between the two cursors were missed; the tasks that match "
        "and that changed since follow as they are now, marked as snapshot.",
    }
    at = views.to_rfc3339(now)
    # Hashed, because the cursor of a store with many partitions is long.
    id_ = f"reset-{hashlib.sha256(str(since).encode()).hexdigest()[:24]}"
    body = _encode_body(endpoint, id_, RESET_TYPE, at, "", to_json(data), False)
    return WebhookMessage(id_, RESET_TYPE, "", (end.epoch, end.n, -1), at, body)


def _make_message(
    endpoint: WebhookEndpoint,
    type_: str,
    task: TaskView,
    json: bytes,
    rev: str,
    snapshot: bool = False,
) -> WebhookMessage:
    # A full stop separates the signed parts, so ids must have none.
    cursor, number = parse_rev(rev)
    place = cursor.epoch, cursor.n, number
    id_ = f"msg-{rev.replace('.', '-')}"
    at = task.updated_at or task.as_of or ""
    body = _encode_body(endpoint, id_, type_, at, task.id, json, snapshot)
    return WebhookMessage(id_, type_, task.id, place, at, body)


def _encode_body(
    endpoint: WebhookEndpoint,
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
