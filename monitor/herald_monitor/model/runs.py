"""One mark of an event, and one run: a delivery of one attempt to one worker."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from herald_monitor.model.events import STOPPED


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one event left on a task. `retries` is -1 where the event names none."""

    kind: str
    host: str
    pid: int
    clock: int
    at: float
    source: str = "event"
    retries: int = -1
    flag: bool = False
    eta: float | None = None
    expires: float | None = None
    runtime: float | None = None
    text: str | None = None
    """The result, or the exception."""
    traceback: str | None = None
    said: float | None = None
    """When it happened by the teller's clock, where `at` is not that."""
    late: int = 0
    """Milliseconds between `at` and its arrival, negative. A positive number is in
    whole seconds: records of version 0.1 have it so."""

    @property
    def arrived(self) -> int:
        """When it was heard, in unix milliseconds by the clock of the monitor."""
        return arrival_ms(self.at, self.late)

    @property
    def heard(self) -> float:
        """The latest moment at which it can have been heard."""
        return latest_hearing(self.at, self.late)

    @property
    def spoken(self) -> float:
        """When it happened by the clock of who said so."""
        return self.at if self.said is None else self.said


def late_ms(at: float, heard: float | None) -> int:
    """Return `Mark.late` of what happened `at` a time and arrived at another."""
    # Never late by less than nothing: nothing is heard before it happened.
    if heard is None or heard <= at:
        return 0
    return int(at * 1000) - int(heard * 1000)


def arrival_ms(at: float, late: int) -> int:
    """Return when something arrived, in unix milliseconds."""
    return (int(at) + late) * 1000 if late > 0 else int(at * 1000) - late


def latest_hearing(at: float, late: int) -> float:
    """Return the latest moment (unix seconds) at which it can have been heard."""
    if late > 0:
        return int(at) + late + 1.0
    return (int(at * 1000) - late + 1) / 1000 if late else at


ORDER = {
    "sent": 0,
    "received": 1,
    "started": 2,
    "rejected": 3,
    "retried": 4,
    "cancelled": 5,
    "revoked": 6,
    "failed": 7,
    "succeeded": 8,
    # Only reports say so.
    "lost": 9,
    "ignored": 10,
    "ended": 11,
    STOPPED: 12,
}
"""Order of marks with the same clock, and rank of the ends within one run."""

ENDS = frozenset(["rejected", "retried", "cancelled", "revoked", "failed", "succeeded"])
OUTCOMES = frozenset(["revoked", "failed", "succeeded"])


Place: TypeAlias = tuple[int, int, int]
"""When it arrived (unix milliseconds), the boot of a worker, and its clock."""


class Run:
    """One delivery of one attempt to one worker."""

    __slots__ = (
        "boot",
        "ends",
        "number",
        "place",
        "received",
        "retries",
        "sent",
        "started",
    )

    def __init__(self, retries: int = -1) -> None:
        self.retries = retries
        self.boot = -1
        """Which boot of which worker ran it; -1: none has been heard of."""
        self.sent: Mark | None = None
        self.received: Mark | None = None
        self.started: Mark | None = None
        self.ends: list[Mark] = []
        self.number = 0
        """The attempt, from 1: of one that waits, the attempt that it would be."""
        self.place: Place = (0, -1, 0)
        """Where its beginning stands among those of other runs."""

    @property
    def end(self) -> Mark | None:
        """The end that counts: the highest rank, then the worker's own order."""
        if len(self.ends) < 2:
            return self.ends[0] if self.ends else None
        return max(self.ends, key=_rank)

    @property
    def last(self) -> Mark:
        """The mark that says most about this run."""
        return self.end or self.started or self.first

    @property
    def first(self) -> Mark:
        """The mark that opened this run."""
        told = self.received or self.started or next(iter(self.ends), self.sent)
        assert told is not None, "no run is made without a mark"
        return told

    @property
    def here(self) -> Mark | None:
        """The first word of the worker that has or had it, but for its ends."""
        return self.received or self.started

    @property
    def over(self) -> bool:
        """Whether it ended for good: not handed back, not to be tried again."""
        end = self.end
        return end is not None and (
            end.kind in OUTCOMES or (end.kind == "rejected" and not end.flag)
        )

    @property
    def ran(self) -> bool:
        """Whether the task's code was reached, as far as can be told."""
        end = self.end
        return self.started is not None or (
            # Only what runs can be terminated; what waits is revoked without.
            end is not None and (end.kind in ("succeeded", "failed") or end.flag)
        )

    @property
    def has_begun(self) -> bool:
        """Whether a worker began it, and whatever ended it."""
        return self.started is not None or bool(self.ends)

    @property
    def is_going(self) -> bool:
        """Whether it was begun, and no end of it was heard."""
        return self.started is not None and not self.ends

    @property
    def opened(self) -> int:
        """When it was first heard of (unix milliseconds)."""
        return self.first.arrived

    @property
    def announced(self) -> Place:
        """When its attempt was first heard of: maybe as it was sent."""
        opened = self.opened, self.boot, self.first.clock
        return min(opened, (self.sent.arrived, -1, 0)) if self.sent else opened

    @property
    def begun(self) -> Place:
        """When its beginning was heard; of one that waits, when it was heard of."""
        told = (self.started, *self.ends) if self.has_begun else (self.first,)
        return min((mark.arrived, self.boot, mark.clock) for mark in told if mark)


def _rank(mark: Mark) -> tuple[int, int, int, float]:
    for_good = mark.kind in OUTCOMES or (mark.kind == "rejected" and not mark.flag)
    given_back = mark.kind == "rejected" and mark.flag
    return (for_good - given_back, ORDER[mark.kind], mark.clock, mark.at)
