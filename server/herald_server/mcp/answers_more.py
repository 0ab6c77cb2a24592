"""What the tools about many tasks, workers and reasons answer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from herald_server.mcp.answers import (
    ActiveTask,
    CancelledTask,
    Error,
    StartedTask,
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
    queue: str | None = Field(default=None, description="The queue that it was sent to")
    tags: list[str] = Field(default_factory=list[str], description="Its tags")


class ListedTasks(BaseModel):
    """A page of tasks."""

    tasks: list[ListedTask] = Field(description="Newest first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    queried_at: str = Field(description="RFC 3339, UTC")
    message: str = Field(default="", description="What to mind about them, if anything")


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


class Moment(BaseModel):
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
    attempts: list[Attempt] = Field(description="Its runs, oldest first")
    timeline: list[Moment] = Field(description="What happened, in order")
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


class StartedGroup(BaseModel):
    """A group or chain that was sent."""

    group_id: str = Field(description="Its id, for get_group_status and cancel_group")
    tasks: list[StartedTask] = Field(description="Its members, in order")
    queued_at: str = Field(description="RFC 3339, UTC")
    message: str = Field(description="What to do next")


class GroupStatus(BaseModel):
    """A group or chain as one."""

    group_id: str = Field(description="Its id")
    status: str = Field(
        description="running, success (all succeeded), failure (some did not), or "
        "unknown"
    )
    done: bool = Field(description="Whether it is known that nothing more will happen")
    total: int = Field(
        description="How many members it has; if it is not whole, at least so many"
    )
    whole: bool = Field(
        description="Whether all members are known. Only then can it be done: Celery's "
        "events tell no group, and nobody tells the size of some"
    )
    finished: int = Field(description="How many have ended")
    progress: float | None = Field(
        default=None,
        description="Percent of the members that have ended; null if it is not whole",
    )
    counts: dict[str, int] = Field(description="Members in each status")
    tasks: list[ListedTask] = Field(description="The members, in order, at most 100")
    tasks_whole: bool = Field(description="Whether tasks has every known member")
    message: str = Field(description="What this means, in a sentence")


class CancelledGroup(BaseModel):
    """What cancelling a group or chain came to."""

    group_id: str = Field(description="Its id")
    outcomes: dict[str, int] = Field(
        description="How many members came to what: revoked, terminated, too_late, "
        "taken, unanswered"
    )
    tasks: list[CancelledTask] = Field(description="The members, at most 500")
    tasks_whole: bool = Field(description="Whether tasks has all that were cancelled")
    whole: bool = Field(description="Whether all members of the group are known")
    message: str = Field(description="What came of it, in a sentence")


class WorkerState(BaseModel):
    """A worker."""

    hostname: str = Field(description="Its name")
    state: str = Field(
        description="online, draining (shuts down once its tasks end), silent "
        "(neither heartbeats nor answers; it may be busy), offline"
    )
    active: int | None = Field(default=None, description="Tasks that it runs now")
    slots: int | None = Field(default=None, description="Tasks that it can run at once")
    processed: int | None = Field(default=None, description="Tasks since it started")
    load: list[float] | None = Field(default=None, description="Load of its machine")
    software: str | None = Field(default=None, description="What it runs")
    started_at: Time = None
    last_heartbeat_at: Time = None
    clock_skew_ms: int | None = Field(
        default=None, description="Milliseconds by which its clock runs ahead"
    )
    pool: str | None = Field(default=None, description="How it runs tasks")
    processes: int | None = Field(
        default=None, description="Processes that share the name, if more than one do"
    )
    note: str | None = Field(
        default=None, description="What its silence or its name means"
    )


class Workers(BaseModel):
    """The workers that were heard of."""

    total: int = Field(description="How many there are, listed or not")
    online: int = Field(description="How many of them are online")
    workers: list[WorkerState] = Field(description="By name")
    whole: bool = Field(default=True, description="Whether all of them are listed")
    next: str | None = Field(
        default=None, description="If more follow, the `after` with which to ask"
    )
    message: str = Field(default="", description="What this means")


class DismissedWorker(BaseModel):
    """A worker that was dismissed."""

    hostname: str = Field(description="Its name")
    state: str = Field(description="The state that it was in: silent or offline")
    message: str = Field(description="What came of it")


class QueueState(BaseModel):
    """A queue of the broker. What could not be measured is null, never 0."""

    name: str = Field(description="Its name")
    depth: int | None = Field(default=None, description="Messages that wait in it")
    unacked: int | None = Field(
        default=None, description="Messages given out and not confirmed yet"
    )
    oldest_age: float | None = Field(
        default=None, description="Seconds for which the oldest message waits"
    )
    at_least: bool = Field(
        default=False, description="Whether it may wait longer than `oldest_age`"
    )
    consumers: list[str] | None = Field(
        default=None,
        description="Workers that take from it; empty: certainly nobody; null: unknown",
    )
    answered: int | None = Field(
        default=None,
        description="Workers that said what they consume, if some did not",
    )
    unanswered: int | None = Field(
        default=None, description="Living workers that did not, and may take from it"
    )
    in_per_minute: float | None = Field(
        default=None, description="Tasks that came, a minute"
    )
    out_per_minute: float | None = Field(
        default=None, description="Tasks that workers took, a minute"
    )
    drain_seconds: float | None = Field(
        default=None, description="Seconds until it is empty at that rate"
    )
    stranded: bool = Field(
        default=False, description="Whether messages wait and nobody takes them"
    )
    may_be_stranded: bool = Field(
        default=False,
        description="Whether messages wait, and only who did not answer may take them",
    )
    silent_consumers: list[str] = Field(
        default=[], description="Workers that took from it and do not answer now"
    )
    as_of: str = Field(description="RFC 3339, UTC")


class ListedQueues(BaseModel):
    """The queues of the broker."""

    total: int = Field(description="How many there are")
    queues: list[QueueState] = Field(
        description="Those first that nobody consumes, then the deepest; at most 100"
    )
    message: str = Field(default="", description="What is wrong with them, if anything")


class ListedType(BaseModel):
    """A task type."""

    task_type: str = Field(description="What start_background_task takes")
    task_name: str = Field(description="Celery's name")
    description: str = Field(description="What it does")
    estimated_duration: str = Field(description="How long it usually takes")
    scope: str = Field(description="The scope that a token needs to start it")
    asks_for_confirmation: bool = Field(description="Whether a person must agree")
    startable: bool = Field(
        description="Whether it may be started; false for what is only registered"
    )
    params: dict[str, Any] = Field(description="JSON Schema of its params")


class ListedTypes(BaseModel):
    """The task types that are known."""

    task_types: list[ListedType] = Field(description="Those in the catalog")
    allowed_names: list[str] = Field(
        description="Celery names that may be started as task_type as well; * and ? "
        "are wild"
    )


class NameNumbers(BaseModel):
    """Numbers of the tasks of one name."""

    task_name: str = Field(description="Celery's name")
    task_type: TypeName = None
    count: int = Field(description="How many there were")
    statuses: dict[str, int] = Field(description="How many are in each status")
    failure_rate: float | None = Field(
        default=None,
        description="Failures among those that ended as success or failure, 0 to 1; "
        "null if none ended",
    )
    runtime_p50: float | None = Field(
        default=None, description="Median runtime in seconds"
    )
    runtime_p95: float | None = Field(
        default=None, description="95th percentile in seconds"
    )
    runtime_p99: float | None = Field(
        default=None, description="99th percentile in seconds"
    )


class TaskStats(BaseModel):
    """Numbers by task name."""

    since: str = Field(description="Tasks first heard of after this; RFC 3339, UTC")
    until: str = Field(description="RFC 3339, UTC")
    total: int = Field(description="How many tasks were looked at, or counted")
    sampled: bool = Field(
        description="Whether there were more, and only the newest were looked at"
    )
    names: list[NameNumbers] = Field(description="The most frequent first")
    message: str = Field(
        default="", description="Says so if not all tasks were looked at"
    )


class Changes(BaseModel):
    """What changed since a cursor."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    put: list[dict[str, Any]] = Field(
        description="Tasks that match as they are now: all of them after a reset, "
        "else those that changed"
    )
    gone: list[str] = Field(
        alias="del", description="Ids of tasks that do not match any more"
    )
    cursor: str = Field(description="Pass it to the next call: nothing is missed")
    reset: str | None = Field(
        default=None,
        description="If given, forget what you knew: `put` is a fresh snapshot. new "
        "(first call), or trimmed, epoch, slow: changes were missed",
    )
    done: bool = Field(
        default=False, description="Whether all ids of the filter have ended for good"
    )
    message: str = Field(default="", description="What to do next")
