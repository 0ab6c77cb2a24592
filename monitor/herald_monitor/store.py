"""The ports of the store. Their docstrings are the contract; `tests/contract`
holds every store to it.

A store keeps three things in step: the records (tasks, workers, gaps), the
indexes over them, and the log of their changes. Whatever changes a record
appends the news of it to the log *in the same atomic step*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from herald_monitor.model.changes import Entry
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.events import Event
from herald_monitor.model.filters import Filter
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.rollups import Rollup
from herald_monitor.model.shape import AttemptImage, TaskImage, unix
from herald_monitor.model.workers import Worker, WorkerImage
from herald_monitor.notes import Notes


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A stretch in which events may be missing. `state` is `open` or `closed`.

    `missing` counts starts of tasks that certainly were not heard. It is closed
    once every unfinished task was asked about after its end: `repaired` of them
    were not as the events had told, or not known at all.
    """

    id: str
    since: str
    until: str
    reason: str
    state: str = "open"
    monitor: str = ""
    missing: int = 0
    repaired: int = 0
    closed_at: str | None = None
    rev: str | None = None


MOST_GAPS = 500
"""Gaps that are kept: a line that is cut every second must not fill the store."""


MOST_GROUPS = 10_000
"""Groups that are listed, those of which a member was told last."""


QUEUES_FOR = 600.0
"""Seconds that a queue is kept after it was measured last."""


class MonitorImage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A monitor that lives, and how it fares. Lags are in milliseconds.

    `writers` are processes that help it to store. `reconciling` is the one monitor
    that asks about unfinished tasks; it last did so at `reconciled_at`, and `trouble`
    is whom it could not ask. `durable`: the broker keeps events while it is away.
    `samples` are the latest events that were set aside, shortened and without secrets.
    `behind_since`: events of after that may wait to be read or stored.
    """

    id: str
    started_at: str
    seen_at: str
    connected: bool = False
    broker: str = ""
    last_event_at: str | None = None
    lag_ms: int = 0
    waiting: int = 0
    behind_since: str | None = None
    writers: int = 0
    reconciling: bool = False
    reconciled_at: str | None = None
    trouble: str = ""
    durable: bool = False
    samples: tuple[str, ...] = ()
    counters: dict[str, int] = {}


def proven_until(monitors: Sequence[MonitorImage], now: float) -> float:
    """Return the time up to which the silence of workers is proven (unix seconds).

    What a worker said later may wait to be read by all `monitors` that live.
    """
    behind = [one.behind_since for one in monitors if one.connected]
    since = [unix(at) for at in behind if at is not None]
    return min(max(since), now) if since and len(since) == len(behind) else now


class Memory(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A server that the store lies on, and its memory in bytes (no `most`: no limit).

    `id` is that of its run; on a cluster several have one name. `policy` is what it
    does when it is full: anything but `noeviction` loses records.
    """

    id: str
    name: str
    server: str
    used: int
    most: int | None = None
    policy: str = "noeviction"


class Receipt(msgspec.Struct, frozen=True):
    """What a write came to: the log's end after it, and how much was new."""

    cursor: Cursor
    changes: int = 0


class Page(msgspec.Struct, frozen=True):
    """Some of the tasks that were asked for, newest first.

    `next` continues behind the last one and is None at the end; a page may be
    shorter than its limit (even empty) and still have a `next`.
    """

    tasks: tuple[TaskImage, ...] = ()
    next: str | None = None


class EventWriter(Protocol):
    """Keeps what events mean. Safe to use from several monitors at once."""

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        """Merge `events` and `workers` into their records and announce what changed.

        One atomic step a batch: records, indexes and one log entry, or nothing.
        Events that tell nothing new change nothing and are not announced, so a
        batch may be stored again after an error. Concurrent writers never undo
        each other: merging is repeated on what the other stored. Within a batch
        a task changes once. Each image in the log is newer than the one before.
        Raises `StoreUnreachable`.
        """
        ...

    async def withdraw(self, ids: Sequence[str]) -> int:
        """Forget those of `ids` of which only their sending by Herald is known.

        Each is announced as gone and answers as `UNKNOWN`. Returns how many were
        forgotten.
        """
        ...

    async def open_gap(self, gap: Gap) -> Receipt:
        """Store and announce `gap`, or its new state (same `id`)."""
        ...

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        """Take or renew the right of `owner` to do `work`; say whether it has it.

        It is nobody else's until `seconds` after the last time this said yes; with
        0 seconds its owner gives it back.
        """
        ...


class Writer(EventWriter, Protocol):
    """Keeps that, and what a monitor finds out besides."""

    async def gauge(self, queues: Sequence[QueueImage], *, now: float) -> Receipt:
        """Store and announce `queues` as they were measured, where that is news.

        One that is not measured for `QUEUES_FOR` seconds is swept up.
        """
        ...

    async def dismiss(self, hostname: str, *, now: float) -> str | None:
        """Forget the worker `hostname` unless it lives, and announce it as gone.

        Returns the state that it was in at `now`, or None if nothing is stored. One
        that is online or draining stays. One that speaks later is stored anew.
        """
        ...

    async def beat(self, monitor: MonitorImage, *, now: float) -> Receipt:
        """Say that `monitor` lives; let the log move, and workers grow silent.

        Appends an entry without changes if nothing was appended since the last
        beat: the bookmark of quiet watchers. Workers whose state differs only by
        `now` (silent, offline) are announced; by `behind_since`, if the monitor is
        behind.
        """
        ...

    async def sweep(self, *, now: float, most: int = 500) -> int:
        """Forget up to `most` tasks whose time is over, and announce each as gone.

        Returns how many. Their ids are remembered for a while as expired. Workers
        that are gone, gaps and queues are forgotten besides, in their own time.
        """
        ...


class Reader(Protocol):
    """Answers about what is stored. Images carry their `rev`."""

    async def task(self, task_id: str) -> TaskImage:
        """Return the task; of state `UNKNOWN`, or `EXPIRED` if it ran out."""
        ...

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        """Return the runs of a task, oldest first; none if nothing is stored."""
        ...

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        """Return the tasks of `ids`, None where nothing is stored."""
        ...

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> Page:
        """Return tasks that match, by when they were first heard of, newest first.

        `after` and `before` (unix seconds) bound that time. A task that matches
        during the whole of a walk through all pages is on exactly one of them.
        Raises `BadCursor` for a `page` that Herald never gave out.
        """
        ...

    async def count(self, filter_: Filter, most: int) -> int:
        """Return how many tasks match, or some number over `most` if they are more.

        May count too many (never too few) where several keys are asked for.
        """
        ...

    async def counts(self) -> dict[str, int]:
        """Return how many tasks are in each state that has any."""
        ...

    async def rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        """Return the minutes in which anything happened, oldest first.

        Those that begin from the minute of `since` up to before `until` (unix
        seconds), of the last `MINUTES_FOR` seconds before `until` at most.
        `counts` and `runtimes` are those of the task `name` or of the `queue`
        (without runtimes) if one is given (not both), else of all tasks. `parts`
        fills in `names` and `queues`, at several times the cost. Counted is what
        is known of each attempt, in the minute in which it happened, however it
        was found out; what a monitor does not know when it stores stays out.
        """
        ...

    async def workers(self, *, now: float) -> list[WorkerImage]:
        """Return every worker that was heard of, by hostname.

        None is silent by more than what the monitors have read: see `proven_until`.
        """
        ...

    async def gaps(self) -> list[Gap]:
        """Return the gaps of the last days, newest first."""
        ...

    async def monitors(self) -> list[MonitorImage]:
        """Return the monitors that live."""
        ...

    async def memory(self) -> list[Memory]:
        """Return the servers that the store lies on, and how full they are."""
        ...

    async def queues(self) -> list[QueueImage]:
        """Return the queues as they were measured last, by name."""
        ...

    async def groups(self, limit: int) -> list[tuple[str, float]]:
        """Return up to `limit` groups, and when the newest member was told (unix s).

        The group of which a member was told last comes first.

        The newest `MOST_GROUPS` are remembered. Some may have no member any more.
        """
        ...

    async def group_counts(self, group_id: str) -> dict[str, int]:
        """Return how many tasks of a group are in each state that has any."""
        ...

    async def registered(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` whose group was told as they were sent.

        The group of any other task is known only from its result.
        """
        ...

    async def queue_names(self, since: float) -> list[str]:
        """Return the queues of tasks that changed at or after `since` (unix seconds).

        May name some whose tasks are older, or gone; never too few, but that queues
        beyond those that are indexed apart are not named.
        """
        ...


class Log(Protocol):
    """The changes, in order. Numbers are dense within an epoch.

    Of a store with several partitions, cursors are vectors (model/vector.py).
    """

    async def end(self) -> Cursor:
        """Return the place of the newest entry; `START` if there never was one."""
        ...

    async def read(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        most: int = 100,
        until: Cursor | None = None,
    ) -> list[Entry]:
        """Return entries behind `after`, waiting up to `wait` seconds for the first.

        None is behind `until`, a later place of the same epoch. There may be more than
        are returned: large ones are read a few at a time.

        The caller checks that they follow each other: a missing number or another
        epoch means that changes were trimmed away, or that history was replaced.
        """
        ...

    async def identity(self) -> str:
        """Return what names the store's own history (`master_replid`).

        A snapshot read while it changes is worth nothing.
        """
        ...


class Store(Writer, Reader, Log, Notes, Protocol):
    """All of them, as one object that can be opened and closed."""

    async def open(self) -> None:
        """Connect and check that the store is fit. Raises `StoreError`."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
