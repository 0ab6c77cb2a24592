"""What a batch comes to: the records it alters, as drafts. Pure; shared by all stores.

A wish says how one record shall change, given what is known of it. When another
writer was faster the wish is simply made again on what that one stored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec

from herald_monitor.model.changes import (
    GAP,
    QUEUE,
    WORKER,
    quiet_rev,
    shown_rev,
    write_change,
)
from herald_monitor.model.filters import Before
from herald_monitor.model.keys import places
from herald_monitor.model.numbers import NONE
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.reading import read
from herald_monitor.model.shape import EXPIRED, TaskImage
from herald_monitor.model.tally import Tally, difference
from herald_monitor.model.tasks import Task
from herald_monitor.model.workers import (
    Worker,
    WorkerImage,
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
    stored without news. `number` as in `Known`; `NONE` of a task that is new. `whole`
    is the record before anything was let go of; None if nothing was.
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
    whole: Task | None = None

    def rev(self, announced: str) -> str:
        """Return the rev that it is stored with: `announced`, if it is."""
        return quiet_rev(self.old.rev) if self.quiet and self.old else announced

    def known(self, rev: str, number: int) -> Known:
        """Return it as it is once stored with `rev`, under `number`."""
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
        task = self.whole or self.record
        if self.old is None:
            return difference(None, None, task, self.image)
        was, shown = self.old.record, self.old.image
        assert isinstance(was, Task)
        assert isinstance(shown, TaskImage)
        return difference(was, shown, task, self.image)

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
        if self.old is None:
            return self.places, ()
        was = self.old.places
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


@lru_cache(maxsize=256)
def in_ms(at: float) -> str:
    """Return a time (unix seconds) as it is stored."""
    return str(round(at * 1000))


def known_worker(rev: str, first: str, shown: Shown) -> Known:
    """Return a stored worker as it was last announced."""
    image = worker_image(shown.worker, shown.worker.last.at)
    image = msgspec.structs.replace(image, state=shown.state)
    return Known(rev, first, shown, image, (WORKERS,))


def known_gap(rev: str, first: str, gap: Gap) -> Known:
    """Return a stored gap."""
    return Known(rev, first, gap, gap, (GAPS,))


def known_queue(rev: str, first: str, queue: QueueImage) -> Known:
    """Return a stored queue."""
    return Known(rev, first, queue, queue, (QUEUES,))


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
