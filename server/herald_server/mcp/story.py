"""A task's past in the words of the tools. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.shape import AttemptImage, TaskImage
from herald_server.catalog import Catalog
from herald_server.mcp import describing
from herald_server.mcp.answers_more import Attempt, ListedTask, Moment, TaskHistory
from herald_server.retry import RETRY_OF


def listed(task: TaskImage, catalog: Catalog) -> ListedTask:
    """Return the task as one of a list."""
    fields: dict[str, Any] = describing.active(task, catalog).model_dump()
    return ListedTask(
        **fields,
        completed_at=task.finished_at,
        runtime=task.runtime,
        error=task.exception,
        queue=task.queue,
        tags=list(task.tags or ()),
    )


def history(
    task: TaskImage, runs: Sequence[AttemptImage], catalog: Catalog
) -> TaskHistory:
    """Return all that happened to `task` in its `runs`."""
    retried = [tag for tag in task.tags or () if tag.startswith(RETRY_OF)]
    return TaskHistory(
        task_id=task.id,
        status=describing.status_of(task),
        task_name=task.name,
        task_type=describing.type_of(task, catalog),
        parent_id=task.parent_id,
        group_id=task.group_id,
        retry_of=retried[-1].removeprefix(RETRY_OF) if retried else None,
        attempts=[_attempt(run) for run in runs],
        timeline=timeline(task, runs),
        message=describing.sentence(task),
    )


def _attempt(run: AttemptImage) -> Attempt:
    return Attempt(
        attempt=run.attempt,
        status=run.state.lower(),
        worker=run.worker,
        received_at=run.received_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        runtime=run.runtime,
        error=run.exception,
    )


def timeline(task: TaskImage, runs: Iterable[AttemptImage]) -> list[Moment]:
    """Return what happened to `task`, in order."""
    told: list[Moment] = []
    if task.submitted_at:
        where = f" to the queue {task.queue}" if task.queue else ""
        told.append(Moment(at=task.submitted_at, what=f"sent{where}"))
    for run in runs:
        told += _moments(run)
    if task.reason and task.as_of:
        told.append(Moment(at=task.as_of, what=_concluded(task)))
    # Two workers' clocks may differ: within a run the order is as it was told.
    return sorted(told, key=lambda one: (one.attempt or 0, one.at))


def _concluded(task: TaskImage) -> str:
    word = "lost: " if task.state == shape.LOST else ""
    return f"{word}{task.reason}"


def _moments(run: AttemptImage) -> list[Moment]:
    on = f" by {run.worker}" if run.worker else ""
    ended = run.state.lower() + (f": {run.exception}" if run.exception else "")
    told = (
        (run.received_at, f"received{on}"),
        (run.started_at, f"started{on}"),
        (run.finished_at, f"ended as {ended}"),
    )
    return [Moment(at=at, what=what, attempt=run.attempt) for at, what in told if at]
