"""What a batch comes to: the records it alters, as drafts. Pure; shared by all stores.

A wish says how one record shall change, given what is known of it. When another
writer was faster the wish is simply made again on what that one stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.model.changes import (
    GAP,
    QUEUE,
    TASK,
    WORKER,
    quiet_rev,
    shown_rev,
    write_change,
)
from herald_monitor.model.events import Event
from herald_monitor.model.filters import Before
from herald_monitor.model.keys import places
from herald_monitor.model.numbers import NONE
from herald_monitor.model.queues import QueueImage, is_news
from herald_monitor.model.reading import read
from herald_monitor.model.runs import Mark
from herald_monitor.model.shape import EXPIRED, TaskImage, unix
from herald_monitor.model.tally import Tally, difference
from herald_monitor.model.tasks import Task
from herald_monitor.model.together import merge_all
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


Record: TypeAlias = Task | Shown | Gap | QueueImage
Image: TypeAlias = TaskImage | WorkerImage | Gap | QueueImage


class Known(msgspec.Struct, frozen=True, gc=False):
    """A stored record. `image` is without rev; `first` is when it was heard of, in ms.

    `number` is a task's, see `numbers.py`. `due` is when
    the record runs out in ms, as far as is known.
    """

    rev: str
    first: str
    record: Record
    image: Image
    places: tuple[Place, ...] = ()
    number: int = NONE
    due: str = "0"

    @property
    def shown_rev(self) -> str:
        """The change that was announced last."""
        return shown_rev(self.rev)


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record as it shall be, and the news of it.

    `gone`: it shall be forgotten. `quiet`: nothing that is shown differs, so it is
    stored without news. `number` as in `Known`; `NONE` of a task that is new.
    """

    name: Name
    old: Known | None
    first: str
    record: Record
    image: Image
    places: tuple[Place, ...] = ()
    gone: bool = False
    quiet: bool = False
    number: int = NONE

    def known(self, rev: str, number: int = NONE) -> Known:
        """Return it as it is once stored as `rev`, under `number`.

        `rev` is what it is announced as, if it is.
        """
        if self.quiet and self.old:
            rev = quiet_rev(self.old.rev)
        number = number if self.number == NONE else self.number
        return Known(rev, self.first, self.record, self.image, self.places, number)

    def field(self) -> bytes:
        """Return the change as it lies in the log; nothing if it is quiet."""
        if self.quiet:
            return b""
        kind, id_ = self.name
        return write_change(kind, id_, self.image, self._before(), self.gone)

    def tally(self) -> Tally:
        """Return what the change adds to the minutes. Forgetting takes nothing back."""
        if self.gone or not isinstance(self.record, Task):
            return {}
        assert isinstance(self.image, TaskImage)
        if self.old is None:
            return difference(None, None, self.record, self.image)
        was, shown = self.old.record, self.old.image
        assert isinstance(was, Task)
        assert isinstance(shown, TaskImage)
        return difference(was, shown, self.record, self.image)

    def _before(self) -> Before | None:
        was, now = self.old.image if self.old else None, self.image
        if not isinstance(was, TaskImage) or not isinstance(now, TaskImage):
            return None
        before = was.attempt if was.attempt != now.attempt else None
        return Before(was.state, was.worker, was.queue, before)

    def moves(self) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        """Return the places that it enters, and those that it leaves."""
        if self.gone:
            return (), self.places
        was = self.old.places if self.old else ()
        if was == self.places:
            return (), ()
        return (
            tuple([p for p in self.places if p not in was]),
            tuple([p for p in was if p not in self.places]),
        )


WORKERS: Place = (WORKER, "")
GAPS: Place = (GAP, "")
QUEUES: Place = (QUEUE, "")
"""Where the ids of all workers, of all gaps, and of all queues are listed."""

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
    first = in_ms(now)
    return {
        (TASK, task_id): _Merging(of_task, first) for task_id, of_task in told.items()
    }


def in_ms(at: float) -> str:
    """Return a time (unix seconds) as it is stored."""
    return str(round(at * 1000))


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
        if known is not None and (
            (self._stored_only() and _shows_nothing_new(known, task, image))
            or (image == known.image and _was_heard(known, task))
        ):
            return None
        return Draft(
            (TASK, task.id),
            known,
            known.first if known else self.first,
            task,
            image,
            tuple(places(image)),
            quiet=known is not None and image == known.image,
            number=known.number if known else NONE,
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
    first = in_ms(unix(gap.since))

    def wish(known: Known | None) -> Draft | None:
        if known is not None and known.record == plain:
            return None
        heard = known.first if known else first
        return Draft((GAP, gap.id), known, heard, plain, plain, (GAPS,))

    return wish


def known_queue(rev: str, first: str, queue: QueueImage) -> Known:
    """Return a stored queue."""
    return Known(rev, first, queue, queue, (QUEUES,))


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


def missing(name: Name, places: tuple[Place, ...], number: int = NONE) -> Draft:
    """Return that a record ran out unnoticed, and may be listed in `places`.

    Without an id only the number is cleared: its task has another one now.
    """
    image = TaskImage(id=name[1], state=EXPIRED)
    return Draft(
        name,
        None,
        "0",
        Task(name[1]),
        image,
        places,
        gone=True,
        quiet=not name[1],
        number=number,
    )
