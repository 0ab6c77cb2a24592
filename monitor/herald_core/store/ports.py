"""The ports of the store.

Their docstrings are the contract; `tests/contract` runs against every store.

A store updates three things together: the records (tasks, workers, gaps), the indexes
over them, and the log of their changes. Each change of a record appends its log entry
*in the same atomic step*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from herald_core.model.changes import LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.queries.needles import Needle
from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.tasks.views import AttemptView, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView
from herald_core.model.workers.worker_record import Worker
from herald_core.store.documents import DocumentStore
from herald_core.store.key_value import KeyValueStore
from herald_core.store.task_counters import TaskCounter
from herald_core.store.types import ScanStep, ServerMemory, TaskPage, WriteResult

MAX_GROUPS = 10_000
"""Groups that are listed, those with the newest members."""


SCAN_STEP_TASKS = 20_000
"""Tasks that one step of a scan looks at."""

SCAN_SHARE = 0.1
"""The share of the store's time that scans may take."""

QUEUE_TTL_S = 600.0
"""Seconds until a queue expires after its last measurement."""


class EventWriter(Protocol):
    """The write port for events. Safe to use from several monitors at once."""

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        """Merge `events` and `workers` into their records and publish the changes.

        One atomic step a batch: records, indexes and one log entry, or nothing. Events
        that add nothing are not published, so a batch may be stored again after an
        error. Concurrent writers never undo each other: a merge is repeated on the
        newer record. Within a batch a task changes once. Each image in the log is newer
        than the one before. Raises `StoreUnreachable`.
        """
        ...

    async def withdraw(self, ids: Sequence[str]) -> int:
        """Delete those of `ids` that only Herald, their sender, has reported.

        Each deletion is published, and the state is then `UNKNOWN`. Returns their
        number.
        """
        ...

    async def open_gap(self, gap: Gap) -> WriteResult:
        """Store and announce `gap`, or its new state (same `id`)."""
        ...

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        """Acquire or renew the lease of `owner` on `work`; return True on success.

        No other owner gets it until `seconds` after the last success; with 0 seconds
        the owner releases it.
        """
        ...


class Writer(EventWriter, Protocol):
    """The write port of a monitor: events, workers, gaps, queues and expiry."""

    async def store_queues(
        self, queues: Sequence[QueueView], *, now: float
    ) -> WriteResult:
        """Store and announce `queues` as they were measured, where that is news.

        One that is not measured for `QUEUE_TTL_S` seconds is swept up.
        """
        ...

    async def delete_worker(self, hostname: str, *, now: float) -> str | None:
        """Delete the worker `hostname` unless it is online, and publish the deletion.

        Returns its state at `now`, or None if it is not stored. A worker that is online
        or draining stays. A later event stores it again.
        """
        ...

    async def record_heartbeat(
        self, monitor: MonitorView, *, now: float
    ) -> WriteResult:
        """Record that `monitor` is running; advance the log and the states of workers.

        Appends an entry without changes if nothing was appended since the last
        heartbeat: the bookmark of quiet subscriptions. Publishes workers whose state
        changed only by `now` (silent, offline), or by `behind_since` if the monitor is
        behind.
        """
        ...

    async def expire_tasks(self, *, now: float, limit: int = 500) -> int:
        """Expire up to `limit` tasks that are due, and publish each deletion.

        Returns their number. Their ids are stored for a while as expired. Workers that
        are gone, gaps and queues expire as well, in their own time.
        """
        ...


class TaskReader(Protocol):
    """The read port. Images carry their `rev`."""

    async def get_task(self, task_id: str) -> TaskView:
        """Return the task; of state `UNKNOWN`, or `EXPIRED` if it ran out."""
        ...

    async def list_attempts(self, task_id: str) -> Sequence[AttemptView]:
        """Return the runs of a task, oldest first; none if nothing is stored."""
        ...

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        """Return the tasks of `ids`, None where nothing is stored."""
        ...

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        """Return tasks that match, newest first by their first arrival.

        `after` and `before` (unix seconds) limit that time. A task that matches during
        the whole walk through all pages is on exactly one of them. Raises
        `InvalidCursor` for a `page` that Herald did not issue.
        """
        ...

    async def scan_tasks(
        self,
        filter_: Filter,
        needles: Sequence[Needle],
        accept: Callable[[TaskView], bool],
        *,
        limit: int = 100,
        max_searched: int = SCAN_STEP_TASKS,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> ScanStep:
        """Look through the tasks of `filter_`, newest first, and return one step.

        Found are those that `accept` accepts; it is not asked about tasks whose record
        lacks one of `needles`. A step ends once `limit` are found, or after about
        `max_searched` were looked at. `page`, `after` and `before` are as those of
        `list_tasks`, also the tokens: each task is looked at once on the whole walk.
        All scans of a process take at most `SCAN_SHARE` of the store's time.
        """
        ...

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        """Return the number of matching tasks, or a number over `limit` if there are
        more.

        With several keys, or limits of the arrival (as of `list_tasks`), the number may
        be too high, never too low.
        """
        ...

    async def count_by_state(self) -> dict[str, int]:
        """Return how many tasks are in each state that has any."""
        ...

    async def read_rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        """Return the minutes with events, oldest first.

        The range is from the minute of `since` up to before `until` (unix seconds), at
        most the last `ROLLUP_RETENTION_S` seconds before `until`. `count_by_state` and
        `runtimes` are those of the task `name` or of the `queue` (without runtimes) if
        one is given (not both), else of all tasks. `parts` fills `names` and `queues`,
        at several times the cost.

        Each known attempt counts in the minute in which it happened, whatever its
        source. A state that is unknown at the time of storing is not counted.
        """
        ...

    async def read_failure_rollups(
        self, since: float, until: float
    ) -> list[FailureRollup]:
        """Return the minutes with failed or retried attempts, oldest first, by cause.

        The range is that of `read_rollups`, and each attempt counts once, as there.
        """
        ...

    async def read_task_counters(self) -> list[TaskCounter]:
        """Return the series that `/metrics` shows, in no order.

        They only grow, but for those that are deleted after a time without events.
        """
        ...

    async def list_workers(self, *, now: float) -> list[WorkerView]:
        """Return every known worker, by hostname.

        No worker is silent by events that the monitors have not read: see
        `find_proven_until`.
        """
        ...

    async def list_gaps(self) -> list[Gap]:
        """Return the gaps of the last days, newest first."""
        ...

    async def list_monitors(self) -> list[MonitorView]:
        """Return the monitors that live."""
        ...

    async def read_server_memory(self) -> list[ServerMemory]:
        """Return the servers of the store, and their memory use."""
        ...

    async def list_queues(self) -> list[QueueView]:
        """Return the queues as they were measured last, by name."""
        ...

    async def list_groups(self, limit: int) -> list[tuple[str, float]]:
        """Return up to `limit` groups, and the newest arrival of a member (unix s).

        The group with the newest member comes first. The newest `MAX_GROUPS` are
        stored. Some may have no member any more.
        """
        ...

    async def count_group_by_state(self, group_id: str) -> dict[str, int]:
        """Return how many tasks of a group are in each state that has any."""
        ...

    async def find_registered(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that Herald itself started in their group.

        Of the group of any other task more members may follow.
        """
        ...

    async def list_queue_names(self, since: float) -> list[str]:
        """Return the queues of tasks that changed at or after `since` (unix seconds).

        The list may include queues whose tasks are older, or deleted. It is complete
        except for queues above the index limit.
        """
        ...


class ChangeLog(Protocol):
    """The changes, in order. Numbers are dense within an epoch.

    Of a store with several partitions, cursors are vectors (model/vector.py).
    """

    async def read_end(self) -> Cursor:
        """Return the place of the newest entry; `START` if there never was one."""
        ...

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        """Return entries after `after`, waiting up to `wait` seconds for the first.

        None is after `until`, a later position of the same epoch. There may be more
        than are returned: large ones are read a few at a time.

        The caller checks that they are consecutive: a missing number or another epoch
        means that changes were trimmed, or that history was replaced.
        """
        ...

    async def read_history_id(self) -> str:
        """Return the id of the store's own history (`master_replid`).

        A snapshot is invalid if the id changes while it is read.
        """
        ...


class Store(Writer, TaskReader, ChangeLog, KeyValueStore, DocumentStore, Protocol):
    """All of them, as one object that can be opened and closed."""

    async def open(self) -> None:
        """Connect and check that the store is fit. Raises `StoreError`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
