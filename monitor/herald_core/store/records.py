"""Records and their updates: the result of a batch. Pure; used by all stores.

A mutation computes one update from the stored record. If another writer was faster, the
mutation is repeated on the newer record.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec

from herald_core.model.changes import (
    GAP,
    QUEUE,
    WORKER,
    encode_change,
    to_public_rev,
    to_silent_rev,
)
from herald_core.model.documents import Document
from herald_core.model.filters import PreviousValues
from herald_core.model.gaps import Gap
from herald_core.model.rollups.counter_delta import (
    CounterDelta,
    CounterRules,
    make_counter_delta,
)
from herald_core.model.rollups.rollup_delta import RollupDelta, make_delta
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import EXPIRED, TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView, make_worker_view
from herald_core.model.workers.worker_record import Worker
from herald_core.store.index_terms import NO_NUMBER, list_index_terms

IndexTerm: TypeAlias = tuple[str, str]
"""Filter key and value."""

RecordKey: TypeAlias = tuple[str, str]
"""Kind and id of a record."""


class AnnouncedWorker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A worker, and the state in which it was last announced."""

    state: str
    worker: Worker


Record: TypeAlias = Task | AnnouncedWorker | Gap | QueueView | Document
Image: TypeAlias = TaskView | WorkerView | Gap | QueueView | Document


class StoredRecord(msgspec.Struct, frozen=True, gc=False):
    """A stored record. `image` is without rev; `first` is its first arrival, in ms.

    `number` is a task's, see `bitmaps.py`. `due_ms` is the time of expiry in ms, if
    known.
    """

    rev: str
    first_seen_ms: str
    record: Record
    image: Image
    terms: tuple[IndexTerm, ...] = ()
    number: int = NO_NUMBER
    due_ms: str = "0"

    @property
    def public_rev(self) -> str:
        """The change that was announced last."""
        return to_public_rev(self.rev)


class RecordUpdate(msgspec.Struct, frozen=True, gc=False):
    """The new state of a record, and its change.

    `is_deleted`: the record is deleted. `is_silent`: the public view is equal, so it is
    stored without a log entry. `number` as in `StoredRecord`; `NO_NUMBER` of a new
    task. `full_task` is the record before compaction; None if it is the same.
    """

    key: RecordKey
    old: StoredRecord | None
    first_seen_ms: str
    record: Record
    image: Image
    terms: tuple[IndexTerm, ...] = ()
    is_deleted: bool = False
    is_silent: bool = False
    number: int = NO_NUMBER
    full_task: Task | None = None

    def make_rev(self, announced: str) -> str:
        """Return the rev that it is stored with: `announced`, if it is."""
        return to_silent_rev(self.old.rev) if self.is_silent and self.old else announced

    def to_record(self, rev: str, number: int) -> StoredRecord:
        """Return it as it is once stored with `rev`, under `number`."""
        return StoredRecord(
            rev, self.first_seen_ms, self.record, self.image, self.terms, number
        )

    def encode_log_field(self) -> bytes:
        """Return the log field of the change; empty without one."""
        if self.is_silent:
            return b""
        kind, id_ = self.key
        was, now, before = self.old.image if self.old else None, self.image, None
        if isinstance(was, TaskView) and isinstance(now, TaskView):
            attempt = was.attempt if was.attempt != now.attempt else None
            before = PreviousValues(
                was.state, was.worker, was.queue, attempt, was.failure
            )
        public = now.to_view() if isinstance(now, Document) else now
        return encode_change(kind, id_, public, before, self.is_deleted)

    def make_rollup_delta(self) -> RollupDelta:
        """Return the counts that the change adds to the rollups.

        A deletion subtracts none.
        """
        if self.is_deleted or not isinstance(self.record, Task):
            return RollupDelta()
        assert isinstance(self.image, TaskView)
        task = self.full_task or self.record
        if self.old is None:
            return make_delta(None, None, task, self.image)
        was, shown = self.old.record, self.old.image
        assert isinstance(was, Task)
        assert isinstance(shown, TaskView)
        return make_delta(was, shown, task, self.image)

    def make_counter_delta(
        self, added: RollupDelta, rules: CounterRules
    ) -> CounterDelta | None:
        """Return what the change adds to the counters; `added` to the minutes."""
        if self.is_deleted or not isinstance(self.record, Task):
            return None
        assert isinstance(self.image, TaskView)
        was = self.old.record if self.old is not None else None
        assert was is None or isinstance(was, Task)
        task = self.full_task or self.record
        return make_counter_delta(was, task, self.image, added, rules)

    def list_index_changes(self) -> tuple[tuple[IndexTerm, ...], tuple[IndexTerm, ...]]:
        """Return the places that it enters, and those that it leaves."""
        if self.is_deleted:
            return (), self.terms
        if self.old is None:
            return self.terms, ()
        was = self.old.terms
        if was == self.terms:
            return (), ()
        return (
            tuple([p for p in self.terms if p not in was]),
            tuple([p for p in was if p not in self.terms]),
        )


WORKER_TERM: IndexTerm = (WORKER, "")
GAP_TERM: IndexTerm = (GAP, "")
QUEUE_TERM: IndexTerm = (QUEUE, "")
"""The lists of the ids of all workers, of all gaps, and of all queues."""

Mutation: TypeAlias = Callable[["StoredRecord | None"], "RecordUpdate | None"]
"""A function from a stored record to its update; None if there is nothing to change."""


def to_stored_task(rev: str, first: str, task: Task) -> StoredRecord:
    """Return a stored task with all that is read off it."""
    image = project(task)
    return StoredRecord(rev, first, task, image, list_index_terms(image))


@lru_cache(maxsize=256)
def to_ms(at: float) -> str:
    """Return a time (unix seconds) as it is stored."""
    return str(round(at * 1000))


def to_stored_worker(rev: str, first: str, shown: AnnouncedWorker) -> StoredRecord:
    """Return a stored worker as it was last announced."""
    image = make_worker_view(shown.worker, shown.worker.last.at)
    image = msgspec.structs.replace(image, state=shown.state)
    return StoredRecord(rev, first, shown, image, (WORKER_TERM,))


def to_stored_gap(rev: str, first: str, gap: Gap) -> StoredRecord:
    """Return a stored gap."""
    return StoredRecord(rev, first, gap, gap, (GAP_TERM,))


def to_stored_queue(rev: str, first: str, queue: QueueView) -> StoredRecord:
    """Return a stored queue."""
    return StoredRecord(rev, first, queue, queue, (QUEUE_TERM,))


def make_orphan_cleanup(
    name: RecordKey, places: tuple[IndexTerm, ...], number: int = NO_NUMBER
) -> RecordUpdate:
    """Return that a record ran out unnoticed, and may be listed in `places`.

    Without an id only the number is cleared: its task has another one now.
    """
    image = TaskView(id=name[1], state=EXPIRED)
    return RecordUpdate(
        name,
        None,
        "0",
        Task(name[1]),
        image,
        places,
        is_deleted=True,
        is_silent=not name[1],
        number=number,
    )
