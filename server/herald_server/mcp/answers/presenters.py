"""Present stored tasks as tool results."""

from __future__ import annotations

import time
from typing import Any

from herald_core.model.codec import to_json
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_server.catalog.catalog import Catalog
from herald_server.diagnosis.end_rules import describe_over
from herald_server.insight.stats.durations import RuntimeStats, estimate_progress
from herald_server.mcp.answers.short import (
    FULL,
    MAX_TAGS,
    SHORT,
    DetailLevel,
    cut_text,
    cut_time,
)
from herald_server.mcp.answers.task_results import (
    NO_RESULT,
    TaskResult,
    cut_result,
)
from herald_server.mcp.models.tasks import ActiveTask, StartedTask, TaskStatus

ACTIVE_STATES = (views.PENDING, views.RECEIVED, views.STARTED, views.RETRY)
MAX_RESULT_CHARS = 4_000
"""Characters of a result or an exception in a status, unless more are asked for."""

MISSING_STATES = (views.UNKNOWN, views.EXPIRED)

_STATE_MESSAGES = {
    views.PENDING: "It waits in a queue for a worker.",
    views.RECEIVED: "A worker has it and will start it when its turn comes.",
    views.STARTED: "It runs.",
    views.RETRY: "An attempt failed; it waits to be tried again.",
    views.SUCCESS: "It succeeded.",
    views.FAILURE: "It failed; see error. Start it again if that is worth a try.",
    views.REVOKED: "It was cancelled and will not run.",
    views.REJECTED: "Its worker rejected it; it will not run again by itself.",
    views.IGNORED: "It gave itself a state of its own, see custom_state, and ended "
    "without a result (Ignore()).",
    views.LOST: "No worker knows of it any more. explain_task says what was found, and "
    "whether it is delivered again: ask it before you start it once more.",
    views.EXPIRED: "What was known of it has run out: nothing was heard of it since.",
    views.UNKNOWN: "Herald has never heard of this task id; check that it is complete "
    "and exact (list_active_tasks shows the tasks that run).",
}


def get_status(task: TaskView) -> str:
    """Return the task's state in lower case."""
    return task.state.lower()


def get_progress(task: TaskView) -> float | None:
    """Return the reported percentage, 100 for success, None if unknown."""
    if task.state == views.SUCCESS:
        return 100.0
    return task.progress.percent if task.progress else None


def is_done(task: TaskView) -> bool:
    """Return True if the task will not change any more."""
    gone = task.state in (views.LOST, views.EXPIRED)
    return task.final or gone or task.has_unknown_outcome


def is_scheduled(task: TaskView, now: float) -> bool:
    """Return True if the task has an ETA after `now`."""
    waits = task.state in (views.PENDING, views.RECEIVED, views.RETRY)
    return waits and task.eta is not None and from_rfc3339(task.eta) > now


def is_waiting(task: TaskView, now: float) -> bool:
    """Return True if the task has not started although it may."""
    waits = task.state in (views.PENDING, views.RECEIVED)
    return waits and not is_scheduled(task, now)


def describe_state(task: TaskView, now: float | None = None) -> str:
    """Return what the task's state means, and whether its outcome is disputed."""
    means = _STATE_MESSAGES.get(task.state, "")
    if task.state == views.LOST and task.reason:
        means = (
            f"It is lost: {task.reason}. See explain_task before you start it again."
        )
    elif task.has_unknown_outcome:
        means = f"{describe_over(task)}: {task.reason}."
    if is_scheduled(task, time.time() if now is None else now):
        means = f"It is scheduled for {task.eta}, and does not start before."
    if task.conflict:
        means += " Two different outcomes of this run were reported; this one counts."
    return means


def describe_wait(task: TaskView, now: float) -> str:
    """Return what to do about a task that did not end within a wait."""
    again = "call wait_for_task again with the same task_id, nothing is lost."
    if is_waiting(task, now):
        return (
            " It has not started yet: call explain_task to learn what it waits for, "
            f"such as a worker that was not started; to go on waiting, {again}"
        )
    return f" It has not ended yet: {again}"


def find_task_type(task: TaskView, catalog: Catalog) -> str | None:
    """Return the task's type in the catalog; None if it has none."""
    kind = catalog.find_by_celery_name(task.name) if task.name else None
    return kind.name if kind else None


def describe_cut(task_id: str) -> str:
    """Return how to read on where the result of a task is cut."""
    arguments = to_json({"task_id": task_id}).decode()
    return (
        f" The result is cut: get_task_result with {arguments} returns its first part,"
        " and with offset set to next those that follow."
    )


def make_status_fields(
    task: TaskView,
    catalog: Catalog,
    outcome: TaskResult = NO_RESULT,
    measured: RuntimeStats | None = None,
    most: int = MAX_RESULT_CHARS,
) -> dict[str, Any]:
    """Return the fields of a `TaskStatus`; `measured` are the runtimes of its name.

    A result or an error over `most` characters is cut.
    """
    shown = cut_result(outcome, most)
    kind = catalog.find_by_celery_name(task.name) if task.name else None
    progress = get_progress(task)
    estimate = (
        estimate_progress(task, measured, time.time()) if progress is None else None
    )
    usual = kind.duration if kind else None
    cut = describe_cut(task.id) if shown != outcome else ""
    return {
        "task_id": task.id,
        "status": get_status(task),
        "progress": progress if estimate is None else estimate,
        "progress_estimated": estimate is not None,
        "progress_message": task.progress.message if task.progress else None,
        "result": shown.value,
        "result_truncated": not shown.whole,
        "error": cut_text(task.exception, most),
        "queued_at": task.submitted_at,
        "started_at": task.started_at,
        "completed_at": task.finished_at,
        "task_name": task.name,
        "task_type": kind.name if kind else None,
        "estimated_duration": measured.description if measured else usual,
        "worker": task.worker,
        "attempt": task.attempt,
        "source": task.source,
        "as_of": task.as_of,
        "eta": task.eta,
        "queue": task.queue,
        "tags": list(task.tags or ()),
        "message": describe_state(task) + cut,
    }


def make_status(
    task: TaskView,
    catalog: Catalog,
    outcome: TaskResult = NO_RESULT,
    measured: RuntimeStats | None = None,
    most: int = MAX_RESULT_CHARS,
) -> TaskStatus:
    """Return the result of `get_task_status`."""
    return TaskStatus(**make_status_fields(task, catalog, outcome, measured, most))


def make_active_task(
    task: TaskView, catalog: Catalog, detail: DetailLevel = FULL
) -> ActiveTask:
    """Return the task as an item of the active tasks."""
    tags = list(task.tags or ())
    return ActiveTask(
        task_id=task.id,
        task_name=task.name,
        task_type=find_task_type(task, catalog),
        status=get_status(task),
        started_at=cut_time(task.started_at, detail),
        queued_at=cut_time(task.submitted_at, detail),
        progress=get_progress(task),
        worker=task.worker,
        eta=cut_time(task.eta, detail),
        queue=task.queue,
        tags=tags[:MAX_TAGS] if detail == SHORT else tags,
    )


def make_ended_task(
    task: TaskView, catalog: Catalog, outcome: TaskResult
) -> StartedTask:
    """Return the result of `start_background_task` for a task that has ended."""
    shown = cut_result(outcome, MAX_RESULT_CHARS)
    cut = describe_cut(task.id) if shown != outcome else ""
    kind = catalog.find_by_celery_name(task.name) if task.name else None
    return StartedTask(
        task_id=task.id,
        task_type=kind.name if kind else task.name or "",
        status=get_status(task),
        estimated_duration=kind.duration if kind else "",
        queued_at=task.submitted_at or task.received_at or task.as_of or "",
        message=describe_state(task) + cut,
        result=shown.value,
        error=cut_text(task.exception, MAX_RESULT_CHARS),
    )
