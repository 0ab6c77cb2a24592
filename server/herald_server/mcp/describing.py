"""A stored task in the words of the tools."""

from __future__ import annotations

import time
from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage, unix
from herald_server.catalog import Catalog
from herald_server.durations import Measured, estimated
from herald_server.mcp.answers import ActiveTask, StartedTask, TaskStatus
from herald_server.mcp.results import NOTHING, Outcome
from herald_server.stuck_ends import say_over

ACTIVE = (shape.PENDING, shape.RECEIVED, shape.STARTED, shape.RETRY)
MISSING = (shape.UNKNOWN, shape.EXPIRED)

_MEANS = {
    shape.PENDING: "It waits in a queue for a worker.",
    shape.RECEIVED: "A worker has it and will start it when its turn comes.",
    shape.STARTED: "It runs.",
    shape.RETRY: "An attempt failed; it waits to be tried again.",
    shape.SUCCESS: "It succeeded.",
    shape.FAILURE: "It failed; see error. Start it again if that is worth a try.",
    shape.REVOKED: "It was cancelled and will not run.",
    shape.REJECTED: "Its worker rejected it; it will not run again by itself.",
    shape.IGNORED: "It gave itself a state of its own, see custom_state, and ended "
    "without a result (Ignore()).",
    shape.LOST: "No worker knows of it any more. explain_task says what was found, and "
    "whether it is delivered again: ask it before you start it once more.",
    shape.EXPIRED: "What was known of it has run out: nothing was heard of it since.",
    shape.UNKNOWN: "Herald has never heard of this task id; check that it is complete "
    "and exact (list_active_tasks shows the tasks that run).",
}


def status_of(task: TaskImage) -> str:
    """Return the task's state as the tools say it."""
    return task.state.lower()


def progress_of(task: TaskImage) -> float | None:
    """Return percent done as reported, 100 for success, None if nothing was said."""
    if task.state == shape.SUCCESS:
        return 100.0
    return task.progress.percent if task.progress else None


def over(task: TaskImage) -> bool:
    """Say whether there is nothing more to wait for."""
    gone = task.state in (shape.LOST, shape.EXPIRED)
    return task.final or gone or task.ended_unheard


def is_scheduled(task: TaskImage, now: float) -> bool:
    """Return True if the task waits for a time that is ahead of `now`."""
    waits = task.state in (shape.PENDING, shape.RECEIVED, shape.RETRY)
    return waits and task.eta is not None and unix(task.eta) > now


def sentence(task: TaskImage, now: float | None = None) -> str:
    """Say what the task's state means, and that its outcome is disputed if it is."""
    means = _MEANS.get(task.state, "")
    if task.state == shape.LOST and task.reason:
        means = (
            f"It is lost: {task.reason}. See explain_task before you start it again."
        )
    elif task.ended_unheard:
        means = f"{say_over(task)}: {task.reason}."
    if is_scheduled(task, time.time() if now is None else now):
        means = f"It is scheduled for {task.eta}, and does not start before."
    if task.conflict:
        means += " Two different outcomes were told of this run; this one counts."
    return means


def say_waited(task: TaskImage, now: float) -> str:
    """Return what to do about a task that a wait has not seen end."""
    again = "call wait_for_task again with the same task_id, nothing is lost."
    if task.state in (shape.PENDING, shape.RECEIVED) and not is_scheduled(task, now):
        return (
            " It has not started yet: call explain_task to learn what it waits for, a "
            f"worker that nobody started for one; to go on waiting, {again}"
        )
    return f" It has not ended yet: {again}"


def type_of(task: TaskImage, catalog: Catalog) -> str | None:
    """Return the task's type in the catalog."""
    kind = catalog.of_celery_name(task.name) if task.name else None
    return kind.name if kind else None


def told(
    task: TaskImage,
    catalog: Catalog,
    outcome: Outcome = NOTHING,
    measured: Measured | None = None,
) -> dict[str, Any]:
    """Return the fields of a `TaskStatus`; `measured` is how long its kind takes."""
    kind = catalog.of_celery_name(task.name) if task.name else None
    progress = progress_of(task)
    estimate = estimated(task, measured, time.time()) if progress is None else None
    usual = kind.duration if kind else None
    return {
        "task_id": task.id,
        "status": status_of(task),
        "progress": progress if estimate is None else estimate,
        "progress_estimated": estimate is not None,
        "progress_message": task.progress.message if task.progress else None,
        "result": outcome.value,
        "result_truncated": not outcome.whole,
        "error": task.exception,
        "queued_at": task.submitted_at,
        "started_at": task.started_at,
        "completed_at": task.finished_at,
        "task_name": task.name,
        "task_type": kind.name if kind else None,
        "estimated_duration": measured.said if measured else usual,
        "worker": task.worker,
        "attempt": task.attempt,
        "source": task.source,
        "as_of": task.as_of,
        "eta": task.eta,
        "message": sentence(task),
    }


def status(
    task: TaskImage,
    catalog: Catalog,
    outcome: Outcome = NOTHING,
    measured: Measured | None = None,
) -> TaskStatus:
    """Return what `get_task_status` answers."""
    return TaskStatus(**told(task, catalog, outcome, measured))


def active(task: TaskImage, catalog: Catalog) -> ActiveTask:
    """Return the task as one of the active ones."""
    return ActiveTask(
        task_id=task.id,
        task_name=task.name,
        task_type=type_of(task, catalog),
        status=status_of(task),
        started_at=task.started_at,
        queued_at=task.submitted_at,
        progress=progress_of(task),
        worker=task.worker,
        eta=task.eta,
    )


def ended(task: TaskImage, catalog: Catalog, outcome: Outcome) -> StartedTask:
    """Return what `start_background_task` answers to who waited for the end."""
    kind = catalog.of_celery_name(task.name) if task.name else None
    return StartedTask(
        task_id=task.id,
        task_type=kind.name if kind else task.name or "",
        status=status_of(task),
        estimated_duration=kind.duration if kind else "",
        queued_at=task.submitted_at or task.received_at or task.as_of or "",
        message=sentence(task),
        result=outcome.value,
        error=task.exception,
    )
