"""A Celery task as a task of the extension `io.modelcontextprotocol/tasks`. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, RootModel

from herald_core.model.codec import to_json
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.task_results import TaskResult

POLL_INTERVAL_MS = 1_000
"""Polling interval for clients. Subscribed clients are notified immediately."""

STATUS_NAMES = {
    views.SUCCESS: "completed",
    # A tool that failed has completed, with isError; `failed` is for calls that could
    # not be served at all.
    views.FAILURE: "completed",
    views.REJECTED: "completed",
    views.IGNORED: "completed",
    views.REVOKED: "cancelled",
}
INTERNAL_ERROR = -32603

GIVE_UP_S = 3_600.0
"""Seconds for which a lost task is `working`, because it may still report: Redis
redelivers a message to another worker after that time. The extension does not allow a
task to leave `failed`."""


class RawResult(RootModel[dict[str, Any]]):
    """Fields that are sent unchanged: a plain model would drop nulls."""


class TaskNotification(BaseModel):
    """`notifications/tasks`: a task as it is now."""

    method: str = "notifications/tasks"
    params: dict[str, Any]


class TaskClock(NamedTuple):
    """Times on which a task's status depends.

    `now` is unix time; the others are seconds: until a lost task is given up, and for
    which a record is kept after its end, or after its last event.
    """

    now: float
    give_up: float
    finished: float
    unfinished: float


def make_created(task: TaskView, clock: TaskClock) -> RawResult:
    """Return the result of a call that continues as a task."""
    return RawResult({"resultType": "task", **_make_common_fields(task, clock)})


def describe_task(
    task: TaskView, catalog: Catalog, outcome: TaskResult, clock: TaskClock
) -> dict[str, Any]:
    """Return the complete task, with its result or error once it has ended."""
    fields = _make_common_fields(task, clock)
    if fields["status"] == "completed":
        fields["result"] = _make_call_result(task, catalog, outcome)
    elif fields["status"] == "failed":
        fields["error"] = {
            "code": INTERNAL_ERROR,
            "message": presenters.describe_state(task),
        }
    return fields


def compute_give_up_delay(task: TaskView, clock: TaskClock) -> float | None:
    """Return the seconds until a lost task is given up; None for other tasks."""
    if task.state != views.LOST or task.as_of is None:
        return None
    return max(views.from_rfc3339(task.as_of) + clock.give_up - clock.now, 0.0)


def _choose_status(task: TaskView, clock: TaskClock) -> str:
    if compute_give_up_delay(task, clock) == 0.0:
        return "failed"
    return STATUS_NAMES.get(task.state, "working")


def _make_common_fields(task: TaskView, clock: TaskClock) -> dict[str, Any]:
    born = task.submitted_at or task.received_at or task.started_at or task.as_of
    last = task.updated_at or born
    return {
        "taskId": task.id,
        "status": _choose_status(task, clock),
        "statusMessage": _choose_message(task),
        "createdAt": born,
        "lastUpdatedAt": last,
        "ttlMs": _read_ttl_ms(task, born, last, clock),
        "pollIntervalMs": POLL_INTERVAL_MS,
    }


def _read_ttl_ms(
    task: TaskView, born: str | None, last: str | None, clock: TaskClock
) -> int | None:
    """Return for how many ms after its creation the task is known at least."""
    if born is None or last is None:
        return None
    kept = clock.finished if task.final else clock.unfinished
    return round(1000 * (views.from_rfc3339(last) - views.from_rfc3339(born) + kept))


def _choose_message(task: TaskView) -> str:
    progress = task.progress
    message = presenters.get_status(task)
    if task.state == views.LOST:
        return f"{message}: {task.reason or presenters.describe_state(task)}"
    if progress and progress.percent is not None and not task.final:
        message += f" {progress.percent:g}%"
    if progress and progress.message and not task.final:
        message += f": {progress.message}"
    elif task.exception:
        message += f": {task.exception}"
    return message


def _make_call_result(
    task: TaskView, catalog: Catalog, outcome: TaskResult
) -> dict[str, Any]:
    shown = presenters.make_ended_task(task, catalog, outcome).model_dump(mode="json")
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": to_json(shown).decode()}],
        "structuredContent": shown,
        "isError": task.state != views.SUCCESS,
    }
