"""What a batch comes to: the records it alters, as drafts. Pure; shared by all stores.

A wish says how one record shall change, given what is known of it. When another
writer was faster the wish is simply made again on what that one stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.model.changes import GAP, TASK, WORKER, write_change
from herald_monitor.model.events import Event
from herald_monitor.model.filters import Before
from herald_monitor.model.keys import places
from herald_monitor.model.reading import read
from herald_monitor.model.runs import Mark
from herald_monitor.model.shape import EXPIRED, TaskImage, unix
from herald_monitor.model.tasks import Task, merge
from herald_monitor.model.workers import (
    Worker,
    WorkerImage,
    join_workers,
    state_of,
    worker_image,
)
from herald_monitor.store import Gap

Place: TypeAlias = tuple[str, str]
"""Filter key and value."""

Name: TypeAlias = tuple[str, str]
"""Kind and id of a record."""


class Shown(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A worker, and the state in which it was last announced."""

    state: str
    worker: Worker


Record: TypeAlias = Task | Shown | Gap
Image: TypeAlias = TaskImage | WorkerImage | Gap


class Known(msgspec.Struct, frozen=True, gc=False):
    """A stored record. `image` is without rev; `first` is the score, in ms."""

    rev: str
    first: str
    record: Record
    image: Image
    places: tuple[Place, ...] = ()


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record as it shall be, and the news of it. `gone`: it shall be forgotten."""

    name: Name
    old: Known | None
    first: str
    record: Record
    image: Image
    places: tuple[Place, ...] = ()
    gone: bool = False

    def known(self, rev: str) -> Known:
        """Return it as it is once stored as `rev`."""
        return Known(rev, self.first, self.record, self.image, self.places)

    def field(self) -> bytes:
        """Return the change as it lies in the log."""
        kind, id_ = self.name
        return write_change(kind, id_, self.image, self._before(), self.gone)

    def _before(self) -> Before | None:
        was = self.old.image if self.old else None
        if isinstance(was, TaskImage):
            return Before(was.state, was.worker, was.queue)
        return None

    def moves(self) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        """Return the places that it enters, and those that it leaves."""
        if self.gone:
            return (), self.places
        was = self.old.places if self.old else ()
        if was == self.places:
            return (), ()
        return (
            tuple(p for p in self.places if p not in was),
            tuple(p for p in was if p not in self.places),
        )


WORKERS: Place = (WORKER, "")
GAPS: Place = (GAP, "")
"""Where the ids of all workers, and of all gaps, are listed."""

Wish: TypeAlias = Callable[["Known | None"], "Draft | None"]
"""How a record shall change; None if there is nothing to change."""


def known_task(rev: str, first: str, task: Task) -> Known:
    """Return a stored task with all that is read off it."""
    image = read(task)
    return Known(rev, first, task, image, tuple(places(image)))


def wishes_of_events(events: Iterable[Event], now: float) -> dict[Name, Wish]:
    """Return one wish for each task that `events` tell of, in the order heard."""
    told: dict[str, list[Event]] = {}
    for event in events:
        of_task = told.get(event.task_id)
        if of_task is None:
            told[event.task_id] = [event]
        else:
            of_task.append(event)
    return {
        (TASK, task_id): _merging(of_task, first_heard(now, number))
        for number, (task_id, of_task) in enumerate(told.items())
    }


def first_heard(now: float, number: int) -> str:
    """Return the score of the task that was heard of as `number` in a batch.

    The thousandths keep the order in which they were heard.
    """
    return repr(round(now * 1000) + number / 1000)


def _merging(events: Sequence[Event], first: str) -> Wish:
    stored_only = all(event.source == "backend" for event in events)

    def wish(known: Known | None) -> Draft | None:
        was = known.record if known else None
        assert was is None or isinstance(was, Task)
        task = was
        for event in events:
            task = merge(task, event)
        if task is None or task is was or task == was:
            return None
        image = read(task)
        if known is not None and stored_only and _shows_nothing_new(known, task, image):
            return None
        if known is not None and image == known.image and _was_heard(known, task):
            return None
        return Draft(
            (TASK, task.id),
            known,
            known.first if known else first,
            task,
            image,
            tuple(places(image)),
        )

    return wish


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


def aging(now: float) -> Wish:
    """Return the wish that a worker be shown as it is by `now`."""

    def wish(known: Known | None) -> Draft | None:
        if known is None:
            return None
        assert isinstance(known.record, Shown)
        return _worker_draft(known.record.worker, known, now)

    return wish


def _worker_draft(worker: Worker, known: Known | None, now: float) -> Draft | None:
    shown = Shown(state_of(worker, now), worker)
    if known is not None and known.record == shown:
        return None
    image = worker_image(worker, now)
    return Draft((WORKER, worker.hostname), known, "0", shown, image, (WORKERS,))


def known_worker(rev: str, first: str, shown: Shown) -> Known:
    """Return a stored worker as it was last announced."""
    image = worker_image(shown.worker, shown.worker.last.at)
    image = msgspec.structs.replace(image, state=shown.state)
    return Known(rev, first, shown, image, (WORKERS,))


def known_gap(rev: str, first: str, gap: Gap) -> Known:
    """Return a stored gap."""
    return Known(rev, first, gap, gap, (GAPS,))


def recording(gap: Gap) -> Wish:
    """Return the wish that `gap` be stored as it is."""
    plain = msgspec.structs.replace(gap, rev=None)
    first = first_heard(unix(gap.since), 0)

    def wish(known: Known | None) -> Draft | None:
        if known is not None and known.record == plain:
            return None
        heard = known.first if known else first
        return Draft((GAP, gap.id), known, heard, plain, plain, (GAPS,))

    return wish


def forgetting(name: Name, due: Callable[[Known], bool]) -> Wish:
    """Return the wish that a record be forgotten if it still is `due`."""

    def wish(known: Known | None) -> Draft | None:
        if known is None or not due(known):
            return None
        return Draft(
            name, known, known.first, known.record, known.image, known.places, gone=True
        )

    return wish


def missing(name: Name, places: tuple[Place, ...]) -> Draft:
    """Return that a task ran out unnoticed, and may be listed in `places`."""
    image = TaskImage(id=name[1], state=EXPIRED)
    return Draft(name, None, "0", Task(name[1]), image, places, gone=True)
