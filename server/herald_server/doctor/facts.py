"""What was found, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

ERROR = "error"
WARNING = "warning"
NOTE = "note"

LEVELS = (ERROR, WARNING, NOTE)
"""Herald cannot work; it sees less than it could; good to know."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to be said. `fix` is the line to add, or the command to run.

    `about` are the workers that it is about, if any.
    """

    level: str
    code: str
    message: str
    fix: str = ""
    about: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A server that was asked: what it is, or why it could not be asked.

    `evicts` is its `maxmemory-policy` if that throws things away. `kind` is that of
    the `problem` (a kind of `refusals`), and `fix` what mends it. `unseen` says what
    could not be looked at for want of a right.
    """

    url: str
    software: str = ""
    problem: str = ""
    evicts: str = ""
    kind: str = ""
    fix: str = ""
    unseen: str = ""

    @property
    def reachable(self) -> bool:
        """Whether it answered."""
        return not self.problem


class WorkerFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one worker answered.

    `events`: whether it sends events of tasks, None if it did not say. `skew` is in
    seconds, positive where its clock runs ahead; None if it could not be told.
    `beats`: whether it sends heartbeats by itself. `silent` are its tasks with
    `send_events=False`.
    """

    hostname: str
    conf: Mapping[str, object] = {}
    events: bool | None = None
    skew: float | None = None
    version: str = ""
    silent: tuple[str, ...] = ()
    beats: bool = True


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a visit found.

    `ours` are settings of the app that was given with -A; None if there was none.
    `unseen` says why queues or results cannot be seen, and `taken` names the options
    that were taken over from the workers.
    `unasked` is why the workers could not be asked, and what mends it, if anything
    but the broker's absence is the cause. `shortcomings` is what the kind of broker
    cannot give. `monitors` is how many monitors hear the broker, None if the store
    could not be asked.
    """

    broker: Place
    backend: Place | None = None
    store: Place | None = None
    workers: tuple[WorkerFacts, ...] = ()
    asked: bool = True
    unasked: tuple[str, str] | None = None
    ours: Mapping[str, object] | None = None
    shortcomings: str = ""
    versions: Mapping[str, str] = {}
    monitors: int | None = None
    problems: tuple[str, ...] = ()
    """Sentences about modules of the project that cannot be imported."""
    unseen: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
