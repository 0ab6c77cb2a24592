"""Models of tool results; their descriptions are read by the client's model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

TaskId = Annotated[str, Field(description="Celery's id of the task")]
TypeName = Annotated[
    str | None,
    Field(description="Task type in the catalog; null if the catalog has none for it"),
]
Status = Annotated[
    str,
    Field(
        description="Celery's state in lower case: pending, received, started, retry, "
        "success, failure, revoked, rejected, ignored; lost (no worker knows of it "
        "any more), expired (its record ran out), unknown (never heard of)"
    ),
]
Progress = Annotated[
    float | None,
    Field(
        description="Percent done as the task itself reported it; 100 for success; "
        "null when nothing is known of it"
    ),
]
Result = Annotated[
    Any, Field(description="What the task returned; null until it has succeeded")
]
Error = Annotated[
    str | None, Field(description="The exception of a task that failed or is retried")
]
Time = Annotated[str | None, Field(description="RFC 3339, UTC")]
Eta = Annotated[
    str | None,
    Field(description="When it is to start at the earliest; RFC 3339, UTC"),
]
QueueName = Annotated[str | None, Field(description="The queue that it was sent to")]


class StartedTask(BaseModel):
    """A task that was sent to the workers."""

    task_id: TaskId
    task_type: str = Field(description="Its type in the catalog")
    status: str = Field(description="queued; a final status once the task has ended")
    estimated_duration: str = Field(description="How long such tasks usually take")
    queued_at: str = Field(description="When it was sent; RFC 3339, UTC")
    message: str = Field(description="What to do next")
    repeated: bool = Field(
        default=False,
        description="Whether it had been started before with the same idempotency_key",
    )
    eta: Eta = None
    queue: QueueName = None
    tags: list[str] = Field(default_factory=list[str], description="Its tags")
    result: Result = None
    error: Error = None


class TaskStatus(BaseModel):
    """What is known of a task now."""

    task_id: TaskId
    status: Status
    progress: Progress = None
    progress_estimated: bool = Field(
        False,
        description="Whether `progress` is not reported but estimated from how long "
        "such tasks took",
    )
    progress_message: str | None = Field(
        None, description="What the task said it was doing"
    )
    result: Result = None
    result_truncated: bool = Field(
        False, description="Whether `result` is a text that was cut off"
    )
    error: Error = None
    queued_at: Time = None
    started_at: Time = None
    completed_at: Time = None
    task_name: str | None = Field(None, description="Celery's name of the task")
    task_type: TypeName = None
    estimated_duration: str | None = Field(
        None, description="How long tasks of this type usually take"
    )
    worker: str | None = Field(None, description="The worker that has it")
    eta: Eta = None
    queue: QueueName = None
    tags: list[str] = Field(default_factory=list[str], description="Its tags")
    attempt: int | None = Field(None, description="Which run this is, from 1")
    source: str | None = Field(
        None,
        description="Who says so: event (a worker), backend (the result backend), "
        "inspect (asked of workers), submitted (sent by Herald), inferred",
    )
    as_of: Time = None
    message: str = Field(
        "", description="What this means and what to do, in a sentence"
    )


class AwaitedTask(TaskStatus):
    """What is known of a task after waiting for it."""

    done: bool = Field(
        description="Whether there is nothing more to wait for: the task has ended, is "
        "lost, or its record ran out. If false, call wait_for_task again"
    )


class CancelledTask(BaseModel):
    """What a cancel came to."""

    task_id: TaskId
    status: Status
    outcome: str = Field(
        "unknown",
        description="revoked (before it started), terminated (while it ran), too_late "
        "(it had ended), taken (workers took note, it has not ended yet), unanswered "
        "(kept, and told to workers that join), unknown (never heard of)",
    )
    message: str = Field(description="What came of it, in a sentence")
    canceled_at: Time = None


class ActiveTask(BaseModel):
    """A task that has not ended."""

    task_id: TaskId
    task_name: str | None = Field(None, description="Celery's name of the task")
    task_type: TypeName = None
    status: Status
    started_at: Time = None
    queued_at: Time = None
    progress: Progress = None
    worker: str | None = Field(None, description="The worker that has it")
    eta: Eta = None
    queue: QueueName = None
    tags: list[str] = Field(default_factory=list[str], description="Its tags")


class ActiveTasks(BaseModel):
    """The tasks that have not ended."""

    total_active: int = Field(description="How many there are, listed here or not")
    counts: dict[str, int] = Field(
        default_factory=dict[str, int], description="How many are in each status"
    )
    tasks: list[ActiveTask] = Field(description="The newest of them, newest first")
    queried_at: str = Field(description="RFC 3339, UTC")
    next: str | None = Field(
        None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field("", description="Says so if not all of them are listed")
