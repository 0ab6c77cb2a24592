"""The facts from which `stuck.why` diagnoses a task."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_server.insight.stats.durations import RuntimeStats

DEFAULT_QUEUE = "celery"

IN_QUEUE = "queued"
HANDED_OUT = "given_out"
NOWHERE = "nowhere"
"""Where the search of the broker found the message of a task: in a queue, at a worker
that has not acknowledged it, or in none of the queues, all of which were searched."""


class Diagnosis(msgspec.Struct, frozen=True):
    """A diagnosis: a code, a message, and advice (empty: none)."""

    reason: str
    message: str
    advice: str = ""


class WorkerQueryResult(msgspec.Struct, frozen=True):
    """Answers of workers; empty if none could be queried.

    Each field maps a hostname to an answer: the queues that it consumes, whether the
    task is revoked there, its registered tasks (name → rate limit, empty for none), and
    how it holds the task (`active`, `reserved`, `scheduled`).
    """

    answered: frozenset[str] = frozenset()
    queues: Mapping[str, frozenset[str]] = {}
    revoked: frozenset[str] = frozenset()
    known: Mapping[str, Mapping[str, str]] = {}
    held: Mapping[str, str] = {}
    consumers: frozenset[str] = frozenset()
    """Workers that consume a queue to which the routing key of the task leads."""
    searched: frozenset[str] = frozenset()
    """Workers that answered whether they hold the task."""
    problem: str = ""
    can_be_asked: bool = True
    """False if the broker carries no question to any worker."""


class TaskFacts(msgspec.Struct, frozen=True):
    """All facts of a diagnosis. `default_queue` is the queue of unrouted tasks.
    `lookup_problem` is why the project's queues cannot be seen, if so.

    `message` is where the task's message is, empty if that cannot be seen. `gaps` are
    those in which events were missed, if the task has no record. `narrow`: the caller
    may not learn about other tasks.
    """

    task: TaskView
    now: float
    workers: tuple[WorkerView, ...] = ()
    answers: WorkerQueryResult = WorkerQueryResult()
    cancel_at: str | None = None
    blocked_by: TaskView | None = None
    waits_for: TaskView | None = None
    measured: RuntimeStats | None = None
    default_queue: str = DEFAULT_QUEUE
    queues: tuple[QueueView, ...] = ()
    lookup_problem: str = ""
    message: str = ""
    narrow: bool = False
    gaps: tuple[Gap, ...] = ()

    @property
    def worker(self) -> WorkerView | None:
        """The task's worker; None if it is unknown."""
        return self.find_worker(self.task.worker)

    def find_worker(self, hostname: str | None) -> WorkerView | None:
        """Return the worker `hostname`; None if it is unknown."""
        return next((one for one in self.workers if one.hostname == hostname), None)

    @property
    def queue_name(self) -> str:
        """The queue of the task, or the routing key that leads there."""
        return self.task.queue or self.task.routing_key or self.default_queue

    @property
    def queue(self) -> QueueView | None:
        """The task's queue as last measured."""
        return next((one for one in self.queues if one.name == self.queue_name), None)

    def is_ahead(self, moment: str | None) -> bool:
        """Return True if `moment` (RFC 3339) is not over yet."""
        return moment is not None and from_rfc3339(moment) > self.now
