"""Values that stores return."""

from __future__ import annotations

import msgspec

from herald_core.model.cursor import Cursor
from herald_core.model.tasks.views import TaskView


class ServerMemory(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A server of the store, and its memory in bytes (no `most`: no limit).

    `id` is that of its run; on a cluster several have one name. `policy` is its
    eviction policy: anything but `noeviction` loses records.
    """

    id: str
    name: str
    server: str
    used: int
    most: int | None = None
    policy: str = "noeviction"


class WriteResult(msgspec.Struct, frozen=True):
    """The result of a write: the log's end after it, and the number of changes."""

    cursor: Cursor
    changes: int = 0


class ScanStep(msgspec.Struct, frozen=True):
    """One step of a scan: the tasks found in it, newest first.

    `searched` is the number of tasks that it looked at. `next` is the position behind
    the last of them, and None at the end.
    """

    tasks: tuple[TaskView, ...] = ()
    searched: int = 0
    next: str | None = None


class TaskPage(msgspec.Struct, frozen=True):
    """A page of matching tasks, newest first.

    `next` is the position after the last one, and None at the end. A page may be
    shorter than its limit (even empty) and still have a `next`.
    """

    tasks: tuple[TaskView, ...] = ()
    next: str | None = None
