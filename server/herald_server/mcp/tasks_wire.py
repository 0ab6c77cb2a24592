"""A Celery task as a task of the extension `io.modelcontextprotocol/tasks`. Pure."""

from __future__ import annotations

from typing import Any

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
    shape.REVOKED: "cancelled",
    shape.LOST: "failed",
}
INTERNAL_ERROR = -32603


class Wire(RootModel[dict[str, Any]]):
    """Fields that go to the wire as they are: nulls of a plain model are dropped."""


class TaskNotification(BaseModel):
    """`notifications/tasks`: a task as it is now."""

    method: str = "notifications/tasks"
    params: dict[str, Any]


def created(task: TaskImage) -> Wire:
    """Return the result of a call that goes on as a task."""
    return Wire({"resultType": "task", **_common(task)})


def detailed(task: TaskImage, catalog: Catalog, outcome: Outcome) -> dict[str, Any]:
    """Return the whole task, with its result or error once it has ended."""
    fields = _common(task)
    if fields["status"] == "completed":
        fields["result"] = _call_result(task, catalog, outcome)
    elif fields["status"] == "failed":
        fields["error"] = {
            "code": INTERNAL_ERROR,
            "message": describing.sentence(task),
        }
    return fields


def _common(task: TaskImage) -> dict[str, Any]:
    born = task.submitted_at or task.received_at or task.started_at or task.as_of
    return {
        "taskId": task.id,
        "status": STATUS.get(task.state, "working"),
        "statusMessage": _message(task),
        "createdAt": born,
        "lastUpdatedAt": task.updated_at or born,
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }


def _message(task: TaskImage) -> str:
    progress = task.progress
    said = describing.status_of(task)
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
