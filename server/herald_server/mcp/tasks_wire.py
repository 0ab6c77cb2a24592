"""A Celery task as a task of the extension `io.modelcontextprotocol/tasks`. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, RootModel

from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage
from herald_server.catalog import Catalog
from herald_server.mcp import describing
from herald_server.mcp.results import Outcome

POLL_MS = 1_000
"""What clients that poll are asked to wait; who listens is told at once."""

STATUS = {
    shape.SUCCESS: "completed",
    # A tool that went wrong has completed, with isError; `failed` is for calls
    # that could not be served at all.
    shape.FAILURE: "completed",
    shape.REJECTED: "completed",
    shape.IGNORED: "completed",
    shape.REVOKED: "cancelled",
}
INTERNAL_ERROR = -32603

GIVE_UP = 3_600.0
"""Seconds for which a lost task is `working`, because a word of it may still come:
so long Redis waits before it gives a message to another worker. The extension lets
no task leave `failed` any more."""


class Wire(RootModel[dict[str, Any]]):
    """Fields that go to the wire as they are: nulls of a plain model are dropped."""


class TaskNotification(BaseModel):
    """`notifications/tasks`: a task as it is now."""

    method: str = "notifications/tasks"
    params: dict[str, Any]


class Clock(NamedTuple):
    """What a task's status and times depend on, beside itself.

    `now` is unix time; the rest are seconds: after which a lost task is given up,
    and for which one is kept after its end, or after its last word.
    """

    now: float
    give_up: float
    finished: float
    unfinished: float


def created(task: TaskImage, clock: Clock) -> Wire:
    """Return the result of a call that goes on as a task."""
    return Wire({"resultType": "task", **_common(task, clock)})


def detailed(
    task: TaskImage, catalog: Catalog, outcome: Outcome, clock: Clock
) -> dict[str, Any]:
    """Return the whole task, with its result or error once it has ended."""
    fields = _common(task, clock)
    if fields["status"] == "completed":
        fields["result"] = _call_result(task, catalog, outcome)
    elif fields["status"] == "failed":
        fields["error"] = {
            "code": INTERNAL_ERROR,
            "message": describing.sentence(task),
        }
    return fields


def given_up_in(task: TaskImage, clock: Clock) -> float | None:
    """Return the seconds until a lost task is given up; None for all others."""
    if task.state != shape.LOST or task.as_of is None:
        return None
    return max(shape.unix(task.as_of) + clock.give_up - clock.now, 0.0)


def _status(task: TaskImage, clock: Clock) -> str:
    if given_up_in(task, clock) == 0.0:
        return "failed"
    return STATUS.get(task.state, "working")


def _common(task: TaskImage, clock: Clock) -> dict[str, Any]:
    born = task.submitted_at or task.received_at or task.started_at or task.as_of
    last = task.updated_at or born
    return {
        "taskId": task.id,
        "status": _status(task, clock),
        "statusMessage": _message(task),
        "createdAt": born,
        "lastUpdatedAt": last,
        "ttlMs": _ttl_ms(task, born, last, clock),
        "pollIntervalMs": POLL_MS,
    }


def _ttl_ms(
    task: TaskImage, born: str | None, last: str | None, clock: Clock
) -> int | None:
    """Return how long after its birth the task is known at least, in ms."""
    if born is None or last is None:
        return None
    kept = clock.finished if task.final else clock.unfinished
    return round(1000 * (shape.unix(last) - shape.unix(born) + kept))


def _message(task: TaskImage) -> str:
    progress = task.progress
    said = describing.status_of(task)
    if task.state == shape.LOST:
        return f"{said}: {task.reason or describing.sentence(task)}"
    if progress and progress.percent is not None and not task.final:
        said += f" {progress.percent:g}%"
    if progress and progress.message and not task.final:
        said += f": {progress.message}"
    elif task.exception:
        said += f": {task.exception}"
    return said


def _call_result(task: TaskImage, catalog: Catalog, outcome: Outcome) -> dict[str, Any]:
    shown = describing.ended(task, catalog, outcome).model_dump(mode="json")
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": to_json(shown).decode()}],
        "structuredContent": shown,
        "isError": task.state != shape.SUCCESS,
    }
