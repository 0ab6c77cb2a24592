"""Filters and response models of the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict

import msgspec

from herald_core.model.marks.mark import Mark
from herald_core.model.tasks.views import (
    AttemptView,
    TaskView,
)
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView

FilterValues = str | Iterable[str] | None


class FilterKeys(TypedDict, total=False):
    """Filter: values of one key are alternatives, keys are combined,
    `*` and `?` match."""

    ids: FilterValues
    name: FilterValues
    state: FilterValues
    worker: FilterValues
    queue: FilterValues
    root: FilterValues
    parent: FilterValues
    group: FilterValues
    tag: FilterValues
    failure: FilterValues


class TaskDetail(TaskView, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A task with its attempts, oldest first, and the ids of its reruns."""

    attempts: tuple[AttemptView, ...] = ()
    retried_as: tuple[str, ...] = ()


class ScheduleList(msgspec.Struct, frozen=True):
    """Schedules of periodic tasks, as JSON objects."""

    schedules: list[dict[str, Any]]


class Stats(msgspec.Struct, frozen=True):
    """How many tasks are in each state."""

    counts: dict[str, int]
    total: int


class Started(msgspec.Struct, frozen=True):
    """A started task. `queued_at` is RFC 3339."""

    task_id: str
    task_type: str
    queued_at: str
    status: str = "queued"
    name: str = ""
    estimated_duration: str = ""


class Cancelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """Result of a cancel: the task's state in lower case, and a message."""

    task_id: str
    status: str
    message: str
    canceled_at: str | None = None
    outcome: str = ""


class TaskList(msgspec.Struct):
    """A page of tasks, and the token of the next one."""

    tasks: list[TaskView]
    next: str | None = None
    searched: int = 0
    """Tasks that a query has looked at, of about `total` if that is known."""
    total: int | None = None
    whole: bool = True
    """False if an order covers only the newest `searched` tasks."""


class WorkerList(msgspec.Struct):
    """A page of workers by name; `next` is the `after` of the next page."""

    workers: list[WorkerView]
    next: str | None = None


class Dismissed(msgspec.Struct, frozen=True):
    """A dismissed worker: its last state, and a message."""

    hostname: str
    state: str
    message: str


class WorkerDetail(WorkerView, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A worker, and what it says of itself now; None where it said nothing.

    `asked` has `at`, `unanswered` (the questions it left open) and `message`.
    `can_be_ordered` is False if orders are switched off.
    """

    asked: dict[str, Any]
    uptime_seconds: float | None = None
    prefetch: int | None = None
    pool_details: dict[str, Any] | None = None
    autoscale: dict[str, Any] | None = None
    rusage: dict[str, Any] | None = None
    totals: dict[str, Any] | None = None
    queues: list[dict[str, Any]] | None = None
    active_tasks: dict[str, Any] | None = None
    reserved_tasks: dict[str, Any] | None = None
    scheduled_tasks: dict[str, Any] | None = None
    revoked_tasks: dict[str, Any] | None = None
    registered: list[dict[str, Any]] | None = None
    settings: dict[str, Any] | None = None
    can_be_ordered: bool = False


class WorkerHistory(msgspec.Struct, frozen=True):
    """What a worker did from `since` until `until` (RFC 3339).

    `runs` are attempts of tasks, `changes` those of its state. Not `whole`: older tasks
    than those `searched` may have run then too.
    """

    worker: str
    since: str
    until: str
    runs: list[dict[str, Any]]
    total: int
    searched: int
    whole: bool
    changes: list[dict[str, Any]]
    message: str
    state_before: dict[str, Any] | None = None
    searched_back_to: str | None = None


class AlertSilence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence of the alerts whose rule and subject match, until a time (RFC 3339)."""

    id: str
    until: str
    by: str
    rule: str = "*"
    subject: str = "*"
    comment: str = ""


class AlertList(msgspec.Struct, frozen=True):
    """The alerts, those that fire first; how many fire; and what is silenced.

    `receivers` are the names of those of the herald.toml, `rules` all rules.
    """

    alerts: list[dict[str, Any]]
    firing: int
    silences: list[AlertSilence]
    receivers: list[str]
    rules: list[dict[str, Any]]


class AlertTest(msgspec.Struct, frozen=True):
    """The outcome of a test: for each `receiver` its `error`, empty for none."""

    results: list[dict[str, str]]
    message: str


class MarkList(msgspec.Struct):
    """The marks, the newest first."""

    marks: list[Mark]


class Deleted(msgspec.Struct, frozen=True):
    """Something that was deleted, and a message."""

    id: str
    message: str


class QueueList(msgspec.Struct):
    """All queues."""

    queues: list[QueueView]
