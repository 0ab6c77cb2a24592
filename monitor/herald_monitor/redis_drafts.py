"""Drafts as the script is told them, made one by one.

A task is packed as soon as it is merged, and let go of if it is over: what it is made
of then still lies in the processor's cache, and the next is made in the same place.
Drafted by the hundred and packed afterwards, each took a quarter longer.
"""

from __future__ import annotations

import msgspec

from herald_monitor.batch import Draft, Known, Name, Place
from herald_monitor.model.changes import TASK
from herald_monitor.model.numbers import NONE
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tally import Tally
from herald_monitor.records import encode, press

MAX_REMEMBERED = 2_048
"""Bytes of a record above which it is read again when it is needed: a writer remembers
thousands, and a task may come with 40 KB of text."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A draft with its time: `ttl` in seconds, `due` a score or nothing.

    `old` is the rev that is stored ("" if nothing is), `quiet` the next one if there is
    no news, `field` the change as it lies in the log (nothing if there is none), `body`
    what is stored behind rev and number. It `enters` some places, `leaves` others, and
    `stays` in these.
    """

    name: Name
    number: int
    old: str
    quiet: str
    first: str
    ttl: int
    due: str
    field: bytes
    body: bytes
    tally: Tally
    enters: tuple[Place, ...]
    leaves: tuple[Place, ...]
    stays: tuple[Place, ...]
    draft: Draft | None
    """None of a finished task, and of a long record."""
    long: bool
    """Whether it takes too much memory to be remembered."""

    @property
    def new(self) -> bool:
        """Whether it is a task that has no number yet."""
        return self.number == NONE and self.name[0] == TASK

    def remembered(self, announced: str, number: int) -> Known | bytes:
        """Return it as it is once stored; of a finished task, as bytes.

        `announced` is the change that it is announced as, if it is.
        """
        rev = self.quiet or announced
        if self.draft is None:
            return f"{rev} {number} ".encode() + self.body
        return self.draft.known(rev, number)


def stored_as(draft: Draft, ttl: int, due: str = "") -> Stored:
    """Return how `draft` is stored, for `ttl` seconds."""
    image, old = draft.image, draft.old
    over = isinstance(image, TaskImage) and image.final and not draft.gone
    record = b"" if draft.gone else encode(draft.record)
    long = len(record) > MAX_REMEMBERED
    enters, leaves = draft.moves()
    return Stored(
        draft.name,
        draft.number,
        "" if old is None else old.rev,
        draft.rev(""),
        draft.first,
        ttl,
        due,
        draft.field(),
        f"{draft.first} {due or 0}\n".encode() + press(record, over) if record else b"",
        draft.tally(),
        enters,
        leaves,
        # What is new enters all of its places.
        () if old is None or draft.gone else draft.places,
        None if over or long else draft,
        long,
    )
