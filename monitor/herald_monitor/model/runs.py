"""One mark of an event, and one run: a delivery of one attempt to one worker."""

from __future__ import annotations

import msgspec


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
    """Whole seconds between `at` and its arrival."""

    @property
    def arrived(self) -> int:
        """When it was heard, in whole seconds."""
        return int(self.at) + self.late

    @property
    def heard(self) -> float:
        """The latest moment at which it can have been heard."""
        return self.arrived + 1.0 if self.late else self.at


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
}
"""Order of marks with the same clock, and rank of the ends within one run."""

ENDS = frozenset(["rejected", "retried", "cancelled", "revoked", "failed", "succeeded"])
OUTCOMES = frozenset(["revoked", "failed", "succeeded"])


class Run:
    """One delivery of one attempt to one worker."""

    __slots__ = ("boot", "ends", "place", "received", "retries", "sent", "started")

    def __init__(self, retries: int = -1) -> None:
        self.retries = retries
        self.boot = -1
        """Which boot of which worker ran it; -1: none has been heard of."""
        self.sent: Mark | None = None
        self.received: Mark | None = None
        self.started: Mark | None = None
        self.ends: list[Mark] = []
        self.place: tuple[int, float] = (0, 0.0)
        """Its time among the deliveries of one attempt: arrival, then the clock."""

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
    def heard_last(self) -> tuple[int, float]:
        """When its worker was last heard of: arrival, then that worker's clock."""
        told = (self.received, self.started, *self.ends)
        return max((m.arrived, m.at) for m in told if m)


def _rank(mark: Mark) -> tuple[int, int, int, float]:
    for_good = mark.kind in OUTCOMES or (mark.kind == "rejected" and not mark.flag)
    given_back = mark.kind == "rejected" and mark.flag
    return (for_good - given_back, ORDER[mark.kind], mark.clock, mark.at)
