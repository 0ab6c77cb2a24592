"""What the checks found, and findings about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

ERROR = "error"
WARNING = "warning"
NOTE = "note"

LEVELS = (ERROR, WARNING, NOTE)
"""Herald cannot work; it sees less than it could; good to know."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem or a note. `fix` is the line to add, or the command to run.

    `about` are the workers concerned, if any.
    """

    level: str
    code: str
    message: str
    fix: str = ""
    about: tuple[str, ...] = ()


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A checked server: what it is, or why it could not be checked.

    `evicts` is its `maxmemory-policy` if that evicts keys. `kind` is that of the
    `problem` (a kind of `refusals`), and `fix` how to fix it. `unseen` is what could
    not be checked for lack of permission.
    """

    url: str
    software: str = ""
    problem: str = ""
    evicts: str = ""
    kind: str = ""
    fix: str = ""
    unseen: str = ""

    @property
    def is_reachable(self) -> bool:
        """Whether it answered."""
        return not self.problem


class Heartbeat(NamedTuple):
    """A worker's heartbeat. `own`: it was not only sent because it was requested.

    Requested heartbeats do not contain what the worker does. `skew` is in seconds.
    """

    skew: float | None = None
    version: str = ""
    own: bool = False


def merge_heartbeat(
    before: Heartbeat | None, event: Mapping[str, object], skew: float
) -> Heartbeat:
    """Return what is known after one more event of a worker, with its clock skew."""
    known = before or Heartbeat()
    return Heartbeat(
        skew if known.skew is None else known.skew,
        str(event.get("sw_ver") or known.version),
        known.own or "active" in event,
    )


class StreamFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stream of the outbox. The group of the monitors has not read `unread` entries
    (None: Redis cannot count them), and is `behind_s` seconds behind the last one;
    `pending` ones are read and not stored yet.
    """

    name: str
    exists: bool = False
    entries: int = 0
    has_group: bool = False
    unread: int | None = None
    pending: int = 0
    behind_s: float = 0.0


class OutboxFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outbox: its Redis, its streams, the commands that Herald needs and may not
    use there, and the workers that write to it.
    """

    place: Endpoint
    streams: tuple[StreamFacts, ...] = ()
    missing: tuple[str, ...] = ()
    workers: Mapping[str, Heartbeat] = {}

    @property
    def exists(self) -> bool:
        """Whether anybody has written to it."""
        return any(one.exists for one in self.streams)


class PausedQueue(msgspec.Struct, frozen=True):
    """A queue that is paused by an order: by whom, and since when (RFC 3339)."""

    name: str
    who: str
    since: str


class WorkerFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answers of one worker.

    `events`: whether it sends task events, None if unknown. `skew` is its clock skew in
    seconds, positive if its clock is ahead; None if unknown. `beats`: whether it sends
    heartbeats by itself. `silent` are its tasks with `send_events=False`. `outbox`:
    whether it writes to the outbox.
    """

    hostname: str
    conf: Mapping[str, object] = {}
    events: bool | None = None
    skew: float | None = None
    version: str = ""
    silent: tuple[str, ...] = ()
    beats: bool = True
    outbox: bool = False


class InstallationFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The results of all checks.

    `ours` are settings of the app given with -A; None if there was none. `unseen` is
    why queues or results cannot be seen; `taken` are the options taken over from the
    workers. `unasked` is why the workers could not be queried, and the fix, unless the
    broker's absence is the cause. `shortcomings` is what the transport does not
    support. `monitors` is the number of connected monitors, None if the store could not
    be queried. `outbox` is None where there can be none; `producers` are hosts whose
    sent tasks were announced by the broker meanwhile.
    """

    broker: Endpoint
    backend: Endpoint | None = None
    store: Endpoint | None = None
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
    outbox: OutboxFacts | None = None
    producers: tuple[str, ...] = ()
    paused: tuple[PausedQueue, ...] = ()
