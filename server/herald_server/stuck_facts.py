"""What is known of a task that does not get on, for `stuck.why` to decide about."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.workers import WorkerImage
from herald_monitor.store import Gap
from herald_server.durations import Measured

DEFAULT_QUEUE = "celery"

QUEUED = "queued"
GIVEN_OUT = "given_out"
NOWHERE = "nowhere"
"""Where a look into the broker's queues found a task's message: in a queue, with a
worker that has not confirmed it, or in none of the queues, all of which were seen."""


class Why(msgspec.Struct, frozen=True):
    """A finding: a code, a sentence, and what to do (empty: nothing)."""

    reason: str
    message: str
    advice: str = ""


class Asked(msgspec.Struct, frozen=True):
    """What workers said when they were asked; empty if nobody could be.

    Each maps a hostname to what that worker said: the queues that it consumes,
    whether the task is on its list of revoked ones, the tasks that it knows (name →
    rate limit, empty for none), and how it holds the task (`active`, `reserved`,
    `scheduled`).
    """

    answered: frozenset[str] = frozenset()
    queues: Mapping[str, frozenset[str]] = {}
    revoked: frozenset[str] = frozenset()
    known: Mapping[str, Mapping[str, str]] = {}
    held: Mapping[str, str] = {}
    takers: frozenset[str] = frozenset()
    """Those that consume a queue to which the task's routing key leads."""
    searched: frozenset[str] = frozenset()
    """Those that said whether they hold the task."""
    trouble: str = ""


class Facts(msgspec.Struct, frozen=True):
    """All that the decision looks at. `default_queue` is where unrouted tasks go.
    `unseen` says why the project's queues cannot be seen, if so.

    `message` is where the task's message is, empty if that cannot be seen.
    `gaps` are those in which events were missed, where nothing is stored of the task.
    `narrow`: it is told to somebody who may know of no other task's surroundings.
    """

    task: TaskImage
    now: float
    workers: tuple[WorkerImage, ...] = ()
    asked: Asked = Asked()
    cancel_at: str | None = None
    blocked_by: TaskImage | None = None
    waits_for: TaskImage | None = None
    measured: Measured | None = None
    default_queue: str = DEFAULT_QUEUE
    queues: tuple[QueueImage, ...] = ()
    unseen: str = ""
    message: str = ""
    narrow: bool = False
    gaps: tuple[Gap, ...] = ()
