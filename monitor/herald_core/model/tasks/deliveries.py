"""One mark of an event, and one run: a delivery of one attempt to one worker."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from herald_core.model.events.event import STOPPED


class EventMark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The mark of one event on a task. `retries` is -1 if the event carries none."""

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
    worker_time: float | None = None
    """The time of the event by the sender's clock, if `at` is another."""
    delay: int = 0
    """Milliseconds between `at` and its arrival, negative. A positive number is in
    whole seconds: records of version 0.1 have it so."""

    @property
    def arrived_at_ms(self) -> int:
        """The time of arrival, in unix milliseconds by the monitor's clock."""
        return to_arrival_ms(self.at, self.delay)

    @property
    def latest_arrival(self) -> float:
        """The latest possible time of arrival."""
        return to_latest_arrival(self.at, self.delay)

    @property
    def event_time(self) -> float:
        """The time of the event by the clock of its sender."""
        return self.at if self.worker_time is None else self.worker_time


def encode_delay(at: float, heard: float | None) -> int:
    """Return the delay of an event that happened `at` a time and arrived at another."""
    # The delay is never negative: no event arrives before it happens.
    if heard is None or heard <= at:
        return 0
    return int(at * 1000) - int(heard * 1000)


def to_arrival_ms(at: float, late: int) -> int:
    """Return when something arrived, in unix milliseconds."""
    return (int(at) + late) * 1000 if late > 0 else int(at * 1000) - late


def to_latest_arrival(at: float, late: int) -> float:
    """Return the latest possible time of arrival (unix seconds)."""
    if late > 0:
        return int(at) + late + 1.0
    return (int(at * 1000) - late + 1) / 1000 if late else at


KIND_ORDER = {
    "sent": 0,
    "received": 1,
    "started": 2,
    "rejected": 3,
    "retried": 4,
    "cancelled": 5,
    "revoked": 6,
    "failed": 7,
    "succeeded": 8,
    # Only reports carry it.
    "lost": 9,
    "ignored": 10,
    "ended": 11,
    STOPPED: 12,
}
"""Order of marks with the same clock, and rank of the ends within one run."""

END_KINDS = frozenset(
    ["rejected", "retried", "cancelled", "revoked", "failed", "succeeded"]
)
OUTCOME_KINDS = frozenset(["revoked", "failed", "succeeded"])


EventPosition: TypeAlias = tuple[int, int, int]
"""Arrival (unix milliseconds), boot of a worker, and its clock."""


class Delivery:
    """One delivery of one attempt to one worker."""

    __slots__ = (
        "attempt",
        "boot",
        "ends",
        "next_attempt",
        "number",
        "position",
        "received",
        "retries",
        "sent",
        "started",
    )

    def __init__(self, retries: int = -1) -> None:
        self.retries = retries
        self.boot = -1
        """The boot of the worker that ran it; -1: no event of one."""
        self.sent: EventMark | None = None
        self.received: EventMark | None = None
        self.started: EventMark | None = None
        self.ends: list[EventMark] = []
        self.number = 0
        """Its place in the order of deliveries, from 1; of one that waits, the next."""
        self.attempt = 0
        """The public attempt: its number, unless it was shown under another."""
        self.next_attempt = 0
        """The attempt that a message that waits will be."""
        self.position: EventPosition = (0, -1, 0)
        """The position of its start among those of other deliveries."""

    @property
    def end(self) -> EventMark | None:
        """The end that counts: the highest rank, then the worker's own order."""
        if len(self.ends) < 2:
            return self.ends[0] if self.ends else None
        return max(self.ends, key=_rank_end)

    @property
    def last(self) -> EventMark:
        """The mark with the most information about this delivery."""
        return self.end or self.started or self.first

    @property
    def first(self) -> EventMark:
        """The mark that opened this run."""
        told = self.received or self.started or next(iter(self.ends), self.sent)
        assert told is not None, "no run is made without a mark"
        return told

    @property
    def location(self) -> EventMark | None:
        """The first event of the worker that has or had it, except its ends."""
        return self.received or self.started

    @property
    def is_final(self) -> bool:
        """True if the delivery has ended for good: neither requeued nor retried."""
        end = self.end
        return end is not None and (
            end.kind in OUTCOME_KINDS or (end.kind == "rejected" and not end.flag)
        )

    @property
    def is_requeued(self) -> bool:
        """True if its worker returned the message, which waits for the next attempt."""
        end = self.end
        return end is not None and end.kind == "rejected" and end.flag

    @property
    def was_executed(self) -> bool:
        """True if the task's code was reached, as far as is known."""
        end = self.end
        return self.started is not None or (
            # Only a running task can be terminated; a waiting one is revoked without.
            end is not None and (end.kind in ("succeeded", "failed") or end.flag)
        )

    @property
    def is_started(self) -> bool:
        """True if a worker started the delivery, ended or not."""
        return self.started is not None or bool(self.ends)

    @property
    def is_running(self) -> bool:
        """True if the delivery was started and no end of it was received."""
        return self.started is not None and not self.ends

    @property
    def opened_at_ms(self) -> int:
        """The time of its first event (unix milliseconds)."""
        return self.first.arrived_at_ms

    @property
    def announced_at(self) -> EventPosition:
        """The time of the first event of its attempt, possibly of its sending."""
        opened = self.opened_at_ms, self.boot, self.first.clock
        return min(opened, (self.sent.arrived_at_ms, -1, 0)) if self.sent else opened

    @property
    def started_at(self) -> EventPosition:
        """The arrival of its start; of a waiting delivery, of its first event."""
        told = (self.started, *self.ends) if self.is_started else (self.first,)
        return min((mark.arrived_at_ms, self.boot, mark.clock) for mark in told if mark)


def _rank_end(mark: EventMark) -> tuple[int, int, int, float]:
    for_good = mark.kind in OUTCOME_KINDS or (mark.kind == "rejected" and not mark.flag)
    given_back = mark.kind == "rejected" and mark.flag
    return (for_good - given_back, KIND_ORDER[mark.kind], mark.clock, mark.at)
