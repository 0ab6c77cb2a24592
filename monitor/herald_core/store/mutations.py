"""Mutations: functions from a stored record to its update. Pure; used by all stores.

A mutation is repeated if another writer changed the record meanwhile. The result is the
same as if both had been applied one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from herald_core.model.changes import (
    GAP,
    QUEUE,
    TASK,
    WORKER,
)
from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.tasks.compaction import (
    MAX_LOOSE_MARKS,
    MAX_MARKS,
    compact,
)
from herald_core.model.tasks.deliveries import EventMark
from herald_core.model.tasks.monotonicity import (
    find_last_step,
    is_regression,
    keep_attempt,
    raise_attempt,
)
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.task_fast import merge_batch
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.model.workers.queue import QueueView, is_significant
from herald_core.model.workers.worker import (
    GONE_STATES,
    LIVING_STATES,
    find_worker_state,
    get_last_sign,
    make_worker_view,
)
from herald_core.model.workers.worker_record import Worker, join_workers
from herald_core.store.index_terms import NO_NUMBER, list_index_terms
from herald_core.store.records import (
    GAP_TERM,
    QUEUE_TERM,
    WORKER_TERM,
    AnnouncedWorker,
    Mutation,
    RecordKey,
    RecordUpdate,
    StoredRecord,
    to_ms,
)


def make_event_mutations(
    events: Iterable[Event], now: float
) -> dict[RecordKey, Mutation]:
    """Return one mutation for each task of `events`, in the order of arrival."""
    by_task: dict[str, list[Event]] = {}
    for event in events:
        of_task = by_task.get(event.task_id)
        if of_task is None:
            by_task[event.task_id] = [event]
        else:
            of_task.append(event)
    first = to_ms(now)
    return {
        (TASK, task_id): _MergeMutation(of_task, first)
        for task_id, of_task in by_task.items()
    }


class _MergeMutation(msgspec.Struct):
    """The mutation that merges `events` of one task into it."""

    events: Sequence[Event]
    first_seen_ms: str

    def __call__(self, known: StoredRecord | None) -> RecordUpdate | None:
        was = known.record if known else None
        assert was is None or isinstance(was, Task)
        task = merge_batch(was, self.events)
        if task is was or task == was:
            return None
        task, image = _project_after(known, task)
        if known is not None and (
            (self._is_stored_only() and _is_repeated_result(known, task, image))
            or (image == known.image and _is_known_later(known, task))
        ):
            return None
        small = task
        if len(task.marks) > MAX_MARKS:
            small, image = _compact_after(known, task, image)
        return RecordUpdate(
            (TASK, task.id),
            known,
            known.first_seen_ms if known else self.first_seen_ms,
            small,
            image,
            list_index_terms(image),
            is_silent=known is not None and image == known.image,
            number=known.number if known else NO_NUMBER,
            full_task=None if small is task else task,
        )

    def _is_stored_only(self) -> bool:
        return all(event.source == "backend" for event in self.events)


def _project_after(known: StoredRecord | None, task: Task) -> tuple[Task, TaskView]:
    """Return `task`, with a view that does not go back behind the `known` one."""
    image = project(task)
    if known is None:
        return task, image
    assert isinstance(known.image, TaskView)
    assert isinstance(known.record, Task)
    was = find_last_step(known.record, known.image)
    if is_regression(was, image):
        task = raise_attempt(task, was, image)
    elif task.past is not None and image.attempt == task.past.public_attempt:
        task = keep_attempt(task, image)
    else:
        return task, image
    return task, project(task)


def _compact_after(
    known: StoredRecord | None, task: Task, image: TaskView
) -> tuple[Task, TaskView]:
    """Return `task` compacted, with its view; as it is if it is shown otherwise then.

    A compacted view is also one that follows the `known` one.
    """
    small, shown = _project_after(known, compact(task))
    if shown != image and len(task.marks) <= MAX_LOOSE_MARKS:
        return task, image
    return small, shown


def is_likely_new(wish: Mutation) -> bool:
    """Return True if `wish` is about a task that is most likely not stored."""
    if isinstance(wish, _MergeMutation):
        for event in wish.events:
            if event.kind == "sent" or event.kind == "received":
                return event.source == "event" and not event.retries
    return False


def _is_repeated_result(known: StoredRecord, task: Task, image: TaskView) -> bool:
    """Return True if the result backend merely repeats a worker's event.

    Most tasks are reported twice, in an event and as a result; that is one change.
    """
    assert isinstance(known.record, Task)
    assert isinstance(known.image, TaskView)
    return task.marks is known.record.marks and image == msgspec.structs.replace(
        known.image, updated_at=image.updated_at
    )


def _is_known_later(known: StoredRecord, task: Task) -> bool:
    """Return True if `task` holds no more than another monitor received a little later.

    The first arrival matters only if it alters the public view.
    """
    was = known.record
    assert isinstance(was, Task)
    return was == msgspec.structs.replace(
        task, marks=_align_delays(was.marks, task.marks)
    )


def _align_delays(
    was: tuple[EventMark, ...], marks: tuple[EventMark, ...]
) -> tuple[EventMark, ...]:
    if len(was) != len(marks):
        return marks
    return tuple(
        msgspec.structs.replace(mark, delay=old.delay)
        for mark, old in zip(marks, was, strict=True)
    )


def make_worker_mutations(
    workers: Iterable[Worker], now: float
) -> dict[RecordKey, Mutation]:
    """Return one mutation for each worker of the reports."""
    by_name: dict[str, Worker] = {}
    for worker in workers:
        seen = by_name.get(worker.hostname)
        by_name[worker.hostname] = (
            worker if seen is None else join_workers(seen, worker)
        )
    return {(WORKER, name): _make_join(worker, now) for name, worker in by_name.items()}


def _make_join(worker: Worker, now: float) -> Mutation:
    def wish(known: StoredRecord | None) -> RecordUpdate | None:
        joined = worker
        if known is not None:
            assert isinstance(known.record, AnnouncedWorker)
            joined = join_workers(known.record.worker, worker)
        return _make_worker_update(joined, known, now)

    return wish


def make_worker_refresh(now: float, behind_since: str | None = None) -> Mutation:
    """Return the mutation that updates a worker's state to `now`.

    If events after `behind_since` may be unread, that time counts instead. Unread
    events are not silence, and an earlier time must not make a worker online again.
    """
    until = from_rfc3339(behind_since) if behind_since else now

    def wish(known: StoredRecord | None) -> RecordUpdate | None:
        if known is None:
            return None
        assert isinstance(known.record, AnnouncedWorker)
        worker = known.record.worker
        if behind_since and find_worker_state(worker, until) in LIVING_STATES:
            return None
        return _make_worker_update(worker, known, until)

    return wish


def _make_worker_update(
    worker: Worker, known: StoredRecord | None, now: float
) -> RecordUpdate | None:
    shown = AnnouncedWorker(find_worker_state(worker, now), worker)
    if known is not None:
        was = known.record
        assert isinstance(was, AnnouncedWorker)
        same = was.worker is worker or was.worker == worker
        if same and was.state == shown.state:
            return None
    image = make_worker_view(worker, now)
    return RecordUpdate(
        (WORKER, worker.hostname), known, "0", shown, image, (WORKER_TERM,)
    )


def make_worker_deletion(hostname: str, now: float) -> Mutation:
    """Return the mutation that deletes a worker unless it is online at `now`."""
    return make_deletion(
        (WORKER, hostname), lambda known: get_worker_state(known, now) in GONE_STATES
    )


def is_expired(worker: Worker, now: float, forget_after: float) -> bool:
    """Return True if `worker` is gone and was silent for `forget_after` seconds."""
    return (
        find_worker_state(worker, now) in GONE_STATES
        and now - get_last_sign(worker) >= forget_after
    )


def get_worker_state(known: StoredRecord, now: float) -> str:
    """Return the state at `now` of the worker that is `known`."""
    assert isinstance(known.record, AnnouncedWorker)
    return find_worker_state(known.record.worker, now)


def make_gap_mutation(gap: Gap) -> Mutation:
    """Return the mutation that stores `gap`; a closed one is not opened again."""
    plain = msgspec.structs.replace(gap, rev=None)
    first = to_ms(from_rfc3339(gap.since))

    def wish(known: StoredRecord | None) -> RecordUpdate | None:
        if known is not None and (known.record == plain or _is_closed(known, plain)):
            return None
        first_seen = known.first_seen_ms if known else first
        return RecordUpdate((GAP, gap.id), known, first_seen, plain, plain, (GAP_TERM,))

    return wish


def _is_closed(known: StoredRecord, gap: Gap) -> bool:
    """Return True if `known` is the same gap, closed: another monitor saw it too."""
    assert isinstance(known.record, Gap)
    return gap.state == "open" and known.record.state != "open"


def make_queue_mutation(queue: QueueView) -> Mutation:
    """Return the mutation that stores a measured `queue`, if it differs."""
    plain = msgspec.structs.replace(queue, rev=None)

    def wish(known: StoredRecord | None) -> RecordUpdate | None:
        if known is not None:
            assert isinstance(known.record, QueueView)
            if not is_significant(known.record, plain):
                return None
        return RecordUpdate((QUEUE, queue.id), known, "0", plain, plain, (QUEUE_TERM,))

    return wish


def is_only_submitted(known: StoredRecord) -> bool:
    """Return True if only Herald, which registered the task, has reported it."""
    task = known.record
    return (
        isinstance(task, Task)
        and task.progress is None
        and not task.reports
        and all(mark.source == "submitted" for mark in task.marks)
    )


def make_deletion(name: RecordKey, due: Callable[[StoredRecord], bool]) -> Mutation:
    """Return the mutation that deletes a record if it still is `due`."""

    def wish(known: StoredRecord | None) -> RecordUpdate | None:
        if known is None or not due(known):
            return None
        return RecordUpdate(
            name,
            known,
            known.first_seen_ms,
            known.record,
            known.image,
            known.terms,
            is_deleted=True,
            number=known.number,
        )

    return wish
