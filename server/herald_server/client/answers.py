"""What a Herald is asked for, and what it answers with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import msgspec

from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import (
    AttemptImage,
    TaskImage,
)
from herald_monitor.model.workers import WorkerImage

Values = str | Iterable[str] | None


class FilterKeys(TypedDict, total=False):
    """What to ask for: values are OR, keys are AND, `*` and `?` are wild."""

    ids: Values
    name: Values
    state: Values
    worker: Values
    queue: Values
    root: Values
    parent: Values
    group: Values
    tag: Values


class TaskDetail(TaskImage, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A task with its runs, oldest first."""

    attempts: tuple[AttemptImage, ...] = ()


class Stats(msgspec.Struct, frozen=True):
    """How many tasks are in each state."""

    counts: dict[str, int]
    total: int


class Started(msgspec.Struct, frozen=True):
    """A task that was sent. `queued_at` is RFC 3339."""

    task_id: str
    task_type: str
    queued_at: str
    status: str = "queued"
    name: str = ""
    estimated_duration: str = ""


class Cancelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cancel came to: the task's state now, in lower case, and a sentence."""

    task_id: str
    status: str
    message: str
    canceled_at: str | None = None
    outcome: str = ""


class TaskPage(msgspec.Struct):
    """Some tasks, and where the next ones are."""

    tasks: list[TaskImage]
    next: str | None = None


class Workers(msgspec.Struct):
    """Workers by name; `next` is the `after` of those that follow."""

    workers: list[WorkerImage]
    next: str | None = None


class Dismissed(msgspec.Struct, frozen=True):
    """A worker that was dismissed: the state that it was in, and a sentence."""

    hostname: str
    state: str
    message: str


class Queues(msgspec.Struct):
    """All queues."""

    queues: list[QueueImage]
