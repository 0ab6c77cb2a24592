"""Results of tools about many tasks, and about the past of one."""

from __future__ import annotations

from pydantic import BaseModel, Field

from herald_server.mcp.models.tasks import (
    ActiveTask,
    Error,
    Status,
    TaskId,
    Time,
    TypeName,
)


class ListedTask(ActiveTask):
    """A task of the history."""

    completed_at: Time = None
    runtime: float | None = Field(
        default=None, description="Seconds that its last run took"
    )
    error: Error = None


class ListedTasks(BaseModel):
    """A page of tasks."""

    total: int | None = Field(
        default=None, description="About how many there are, if known"
    )
    tasks: list[ListedTask] = Field(description="Newest first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    queried_at: str = Field(description="RFC 3339, UTC")
    message: str = Field(default="", description="What to mind about them, if anything")
    searched: int | None = Field(
        default=None, description="How many tasks a query has looked at"
    )


class Attempt(BaseModel):
    """One run of a task."""

    attempt: int = Field(description="Which run it was, from 1")
    status: Status
    worker: str | None = Field(default=None, description="The worker that had it")
    received_at: Time = None
    started_at: Time = None
    finished_at: Time = None
    runtime: float | None = Field(default=None, description="Seconds that it took")
    error: Error = None


class TimelineEntry(BaseModel):
    """Something that happened to a task."""

    at: str = Field(description="RFC 3339, UTC")
    what: str = Field(description="What happened, in words")
    attempt: int | None = Field(default=None, description="In which run")


class TaskHistory(BaseModel):
    """All that happened to a task."""

    task_id: TaskId
    status: Status
    task_name: str | None = Field(default=None, description="Celery's name of the task")
    task_type: TypeName = None
    parent_id: str | None = Field(
        default=None, description="The task before it: that sent it, or that it retries"
    )
    group_id: str | None = Field(default=None, description="Its group or chain")
    retry_of: str | None = Field(default=None, description="The task that it retries")
    runs: int = Field(default=0, description="How many runs it had")
    attempts: list[Attempt] = Field(
        description="Its runs, oldest first; the newest `limit` of them"
    )
    timeline: list[TimelineEntry] = Field(description="What happened, in order")
    message: str = Field(default="", description="What its state means")


class Explanation(BaseModel):
    """Why a task is where it is."""

    task_id: TaskId
    status: Status
    reason: str = Field(
        description="A code, such as no_worker, no_worker_on_queue, eta_ahead, "
        "prefetched, rate_limited, worker_silent, revoked, expired, waits_for_retry, "
        "waits_for_predecessor, in_queue, not_asked, runs, over, unknown"
    )
    message: str = Field(description="Why, in a sentence")
    advice: str = Field(default="", description="What to do about it; empty: nothing")
    queue: str | None = Field(default=None, description="The queue that it was sent to")
    worker: str | None = Field(default=None, description="The worker that has it")
    workers_asked: int = Field(
        default=0, description="How many workers answered questions"
    )
    as_of: Time = None
