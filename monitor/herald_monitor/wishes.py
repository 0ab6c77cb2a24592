"""How records shall change, given what is known of them.

A wish that is made again, on what another writer stored meanwhile, comes to the same
as if the two had come one after the other. Pure; shared by all stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from herald_monitor.batch import (
    GAPS,
    QUEUES,
    WORKERS,
    Draft,
    Known,
    Name,
    Shown,
    Wish,
    in_ms,
)
from herald_monitor.model.changes import (
    GAP,
    QUEUE,
    TASK,
    WORKER,
)
from herald_monitor.model.events import Event
from herald_monitor.model.keys import places
from herald_monitor.model.numbers import NONE
from herald_monitor.model.queues import QueueImage, is_news
from herald_monitor.model.reading import read
from herald_monitor.model.runs import Mark
from herald_monitor.model.settling import MAX_MARKS, goes_back, keep_attempt, settle
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.tasks import Task
from herald_monitor.model.together import merge_all
from herald_monitor.model.workers import (
    GONE,
    LIVING,
    Worker,
    join_workers,
    last_sign,
    state_of,
    worker_image,
)
from herald_monitor.store import Gap


def wishes_of_events(events: Iterable[Event], now: float) -> dict[Name, Wish]:
    """Return one wish for each task that `events` tell of, in the order heard."""
    told: dict[str, list[Event]] = {}
    for event in events:
        of_task = told.get(event.task_id)
        if of_task is None:
            told[event.task_id] = [event]
        else:
            of_task.append(event)
    first = in_ms(now)
    return {
        (TASK, task_id): _Merging(of_task, first) for task_id, of_task in told.items()
    }


class _Merging:
    """The wish that `events` of one task be merged into it."""

    __slots__ = ("events", "first")

    def __init__(self, events: Sequence[Event], first: str) -> None:
        self.events = events
        self.first = first

    def __call__(self, known: Known | None) -> Draft | None:
        was = known.record if known else None
        assert was is None or isinstance(was, Task)
        task = merge_all(was, self.events)
        if task is was or task == was:
            return None
        image = read(task)
        if known is not None:
            assert isinstance(known.image, TaskImage)
            was_shown = known.image
            if (was_shown.attempt != image.attempt or was_shown.final) and goes_back(
                was_shown, image
            ):
                task = keep_attempt(task, was_shown, image)
                image = read(task)
            if (self._stored_only() and _shows_nothing_new(known, task, image)) or (
                image == known.image and _was_heard(known, task)
            ):
                return None
        small = task if len(task.marks) <= MAX_MARKS else settle(task)
        return Draft(
            (TASK, task.id),
            known,
            known.first if known else self.first,
            small,
            image,
            tuple(places(image)),
            quiet=known is not None and image == known.image,
            number=known.number if known else NONE,
            whole=None if small is task else task,
        )

    def _stored_only(self) -> bool:
        return all(event.source == "backend" for event in self.events)


def begins(wish: Wish) -> bool:
    """Say whether `wish` tells of a task that most likely nobody has told of."""
    if isinstance(wish, _Merging):
        for event in wish.events:
            if event.kind == "sent" or event.kind == "received":
                return event.source == "event" and not event.retries
    return False


def _shows_nothing_new(known: Known, task: Task, image: TaskImage) -> bool:
    """Say whether the result backend merely repeats what a worker has said.

    Most tasks are told twice, in an event and as a result; that is one change.
    """
    assert isinstance(known.record, Task)
    assert isinstance(known.image, TaskImage)
    return task.marks is known.record.marks and image == msgspec.structs.replace(
        known.image, updated_at=image.updated_at
    )


def _was_heard(known: Known, task: Task) -> bool:
    """Say whether `task` holds no more than another monitor heard a little later.

    Who of them heard it first matters only where it alters what is shown.
    """
    was = known.record
    assert isinstance(was, Task)
    return was == msgspec.structs.replace(task, marks=_as_late(was.marks, task.marks))


def _as_late(was: tuple[Mark, ...], marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    if len(was) != len(marks):
        return marks
    return tuple(
        msgspec.structs.replace(mark, late=old.late)
        for mark, old in zip(marks, was, strict=True)
    )


def wishes_of_workers(workers: Iterable[Worker], now: float) -> dict[Name, Wish]:
    """Return one wish for each worker that something was heard of."""
    told: dict[str, Worker] = {}
    for worker in workers:
        seen = told.get(worker.hostname)
        told[worker.hostname] = worker if seen is None else join_workers(seen, worker)
    return {(WORKER, name): _joining(worker, now) for name, worker in told.items()}


def _joining(worker: Worker, now: float) -> Wish:
    def wish(known: Known | None) -> Draft | None:
        joined = worker
        if known is not None:
            assert isinstance(known.record, Shown)
            joined = join_workers(known.record.worker, worker)
        return _worker_draft(joined, known, now)

    return wish


def aging(now: float, behind_since: str | None = None) -> Wish:
    """Return the wish that a worker be shown as it is by `now`.

    If events of after `behind_since` may be unread, by then: nobody is silent for what
    was not read, and nobody lives again by looking at an earlier time.
    """
    until = unix(behind_since) if behind_since else now

    def wish(known: Known | None) -> Draft | None:
        if known is None:
            return None
        assert isinstance(known.record, Shown)
        worker = known.record.worker
        if behind_since and state_of(worker, until) in LIVING:
            return None
        return _worker_draft(worker, known, until)

    return wish


def _worker_draft(worker: Worker, known: Known | None, now: float) -> Draft | None:
    shown = Shown(state_of(worker, now), worker)
    if known is not None:
        was = known.record
        assert isinstance(was, Shown)
        same = was.worker is worker or was.worker == worker
        if same and was.state == shown.state:
            return None
    image = worker_image(worker, now)
    return Draft((WORKER, worker.hostname), known, "0", shown, image, (WORKERS,))


def dismissing(hostname: str, now: float) -> Wish:
    """Return the wish that a worker be forgotten unless it lives at `now`."""
    return forgetting(
        (WORKER, hostname), lambda known: worker_state(known, now) in GONE
    )


def is_expired(worker: Worker, now: float, forget_after: float) -> bool:
    """Say whether `worker` was last heard `forget_after` seconds ago, and is gone."""
    return state_of(worker, now) in GONE and now - last_sign(worker) >= forget_after


def worker_state(known: Known, now: float) -> str:
    """Return the state at `now` of the worker that is `known`."""
    assert isinstance(known.record, Shown)
    return state_of(known.record.worker, now)


def recording(gap: Gap) -> Wish:
    """Return the wish that `gap` be stored as it is."""
    plain = msgspec.structs.replace(gap, rev=None)
    first = in_ms(unix(gap.since))

    def wish(known: Known | None) -> Draft | None:
        if known is not None and known.record == plain:
            return None
        heard = known.first if known else first
        return Draft((GAP, gap.id), known, heard, plain, plain, (GAPS,))

    return wish


def gauging(queue: QueueImage) -> Wish:
    """Return the wish that `queue` be shown as it was measured, if that is news."""
    plain = msgspec.structs.replace(queue, rev=None)

    def wish(known: Known | None) -> Draft | None:
        if known is not None:
            assert isinstance(known.record, QueueImage)
            if not is_news(known.record, plain):
                return None
        return Draft((QUEUE, queue.id), known, "0", plain, plain, (QUEUES,))

    return wish


def is_only_submitted(known: Known) -> bool:
    """Return True if nobody but Herald, which registered it, told of a task."""
    task = known.record
    return (
        isinstance(task, Task)
        and task.step is None
        and not task.reports
        and all(mark.source == "submitted" for mark in task.marks)
    )


def forgetting(name: Name, due: Callable[[Known], bool]) -> Wish:
    """Return the wish that a record be forgotten if it still is `due`."""

    def wish(known: Known | None) -> Draft | None:
        if known is None or not due(known):
            return None
        return Draft(
            name,
            known,
            known.first,
            known.record,
            known.image,
            known.places,
            gone=True,
            number=known.number,
        )

    return wish
