"""Decisions that both clients take: subscriptions, pages, and when a task is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from herald_client.connection.protocol import SubscriptionProtocol
from herald_client.errors import RecordExpired, TimedOut
from herald_client.models.answers import TaskList
from herald_client.models.changes import Change, CountImage, Gone, Put
from herald_core.model.documents import DOCUMENT_KINDS
from herald_core.model.tasks.views import EXPIRED, LOST, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView

DocumentTopic = Literal["failures", "schedules", "orders", "marks", "alerts"]
"""Topics whose images are JSON objects, see `herald_core.model.documents`."""

Topic = Literal["tasks", "workers", "queues", "counts"] | DocumentTopic

IMAGE_TYPES: dict[str, type[Any]] = {
    "tasks": TaskView,
    "workers": WorkerView,
    "queues": QueueView,
    "counts": CountImage,
    **dict.fromkeys(DOCUMENT_KINDS, dict[str, Any]),
}

PAGE_SIZE = 200


def make_protocol(
    topic: Topic,
    filter_: Mapping[str, Any],
    limit: int | None,
    every: bool,
    since: str | None,
) -> SubscriptionProtocol[Any]:
    """Return the subscription that `watch` asks for."""
    wish = {
        "topic": topic,
        "filter": filter_,
        **({"limit": limit} if limit is not None else {}),
        **({"mode": "events"} if every else {}),
    }
    return SubscriptionProtocol(wish, IMAGE_TYPES[topic], since)


class PageWalk:
    """Which pages of tasks are read until `limit` tasks were found."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._page: str | None = None
        self._is_over = False

    def plan_page(self) -> dict[str, Any] | None:
        """Return `limit` and `page` of the next request; None if none follows."""
        if self._is_over or (self._left is not None and self._left <= 0):
            return None
        size = PAGE_SIZE if self._left is None else min(PAGE_SIZE, self._left)
        return {"limit": size, "page": self._page}

    def add(self, found: TaskList) -> None:
        """Note a page that was read."""
        self._left = None if self._left is None else self._left - len(found.tasks)
        self._page = found.next
        self._is_over = found.next is None


class TaskTracker:
    """A task from its present state to its end."""

    def __init__(self, task: TaskView) -> None:
        self.last = task

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be expected of the task."""
        task = self.last
        return task.final or task.state in (LOST, EXPIRED) or task.has_unknown_outcome

    def receive(self, change: Change[TaskView]) -> tuple[TaskView | None, bool]:
        """Return the task if it changed, and whether to stop."""
        if isinstance(change, Put) and change.image.rev != self.last.rev:
            self.last = change.image
            return self.last, self.is_over
        return None, isinstance(change, Gone) or self.is_over

    def check(self) -> None:
        """Raise `RecordExpired` if it is not known how the task ended."""
        if not self.is_over or self.last.state == EXPIRED:
            raise RecordExpired(
                f"the record of {self.last.id} ran out; how it ended is not known "
                "any more",
                self.last,
            )


def make_timed_out(task: TaskView, timeout: float | None) -> TimedOut:
    """Return the error of a wait whose `timeout` (s) has passed."""
    return TimedOut(f"after {timeout:g} s, {task.id} is still {task.state}", task)
