"""Present the history of a task as tool results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from herald_core.model.tasks import views
from herald_core.model.tasks.views import AttemptView, TaskView
from herald_server.catalog.catalog import Catalog
from herald_server.control.start.retry import RETRY_OF
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.short import FULL, SHORT, DetailLevel, cut_text, cut_time
from herald_server.mcp.models.history import (
    Attempt,
    ListedTask,
    TaskHistory,
    TimelineEntry,
)

MAX_RUNS = 500
"""Maximum number of runs in one answer."""


def make_listed_task(
    task: TaskView, catalog: Catalog, detail: DetailLevel = FULL
) -> ListedTask:
    """Return the task as an item of a list.

    In short, a task that has ended is told by its end and its runtime.
    """
    item = presenters.make_active_task(task, catalog, detail)
    fields: dict[str, Any] = item.model_dump()
    if detail == FULL:
        return ListedTask(
            **fields,
            completed_at=task.finished_at,
            runtime=task.runtime,
            error=task.exception,
        )
    if task.finished_at is not None:
        fields |= {"queued_at": None, "started_at": None, "progress": None}
    return ListedTask(
        **fields,
        completed_at=cut_time(task.finished_at),
        runtime=None if task.runtime is None else round(task.runtime, 3),
        error=cut_text(task.exception or task.reason),
    )


def make_history(
    task: TaskView,
    all_runs: Sequence[AttemptView],
    catalog: Catalog,
    limit: int = MAX_RUNS,
    detail: DetailLevel = FULL,
) -> TaskHistory:
    """Return the history of `task` with the newest `limit` of its runs."""
    runs = all_runs[-limit:]
    if detail == SHORT:
        runs = [
            msgspec.structs.replace(run, exception=cut_text(run.exception))
            for run in runs
        ]
    retried = [tag for tag in task.tags or () if tag.startswith(RETRY_OF)]
    return TaskHistory(
        task_id=task.id,
        status=presenters.get_status(task),
        task_name=task.name,
        task_type=presenters.find_task_type(task, catalog),
        parent_id=task.parent_id,
        group_id=task.group_id,
        retry_of=retried[-1].removeprefix(RETRY_OF) if retried else None,
        runs=len(all_runs),
        attempts=[_make_attempt(run) for run in runs],
        timeline=make_timeline(task, runs),
        message=presenters.describe_state(task),
    )


def _make_attempt(run: AttemptView) -> Attempt:
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


def make_timeline(task: TaskView, runs: Iterable[AttemptView]) -> list[TimelineEntry]:
    """Return the events of `task`, in order."""
    entries: list[TimelineEntry] = []
    if task.submitted_at:
        where = f" to the queue {task.queue}" if task.queue else ""
        entries.append(TimelineEntry(at=task.submitted_at, what=f"sent{where}"))
    for run in runs:
        entries += _list_entries(run)
    if task.reason and task.as_of:
        entries.append(TimelineEntry(at=task.as_of, what=_describe_end(task)))
    # Clocks of workers may differ: within a run the order is that of arrival.
    return sorted(entries, key=lambda one: (one.attempt or 0, one.at))


def _describe_end(task: TaskView) -> str:
    word = "lost: " if task.state == views.LOST else ""
    return f"{word}{task.reason}"


def _list_entries(run: AttemptView) -> list[TimelineEntry]:
    on = f" by {run.worker}" if run.worker else ""
    ended = run.state.lower() + (f": {run.exception}" if run.exception else "")
    entries = (
        (run.received_at, f"received{on}"),
        (run.started_at, f"started{on}"),
        (run.finished_at, f"ended as {ended}"),
    )
    return [
        TimelineEntry(at=at, what=what, attempt=run.attempt)
        for at, what in entries
        if at
    ]
