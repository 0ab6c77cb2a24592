"""Ranges of the times and durations of a task. Pure."""

from __future__ import annotations

import msgspec

from herald_core.model.tasks.views import (
    PENDING,
    RECEIVED,
    TaskView,
    from_rfc3339,
)

TIME_FIELDS = ("submitted", "received", "started", "finished")
"""Times in unix seconds."""

DURATION_FIELDS = ("runtime", "wait")
"""Durations in seconds."""

RANGE_FIELDS = (*TIME_FIELDS, *DURATION_FIELDS)


class ValueRange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A range of one value of a task, both ends included; a task without it is not in.

    `field` is one of `RANGE_FIELDS`: times are unix seconds, durations seconds.
    """

    field: str
    low: float | None = None
    high: float | None = None

    def matches(self, task: TaskView, now: float) -> bool:
        """Return True if the value of `task` at `now` is in the range."""
        value = read_number(task, self.field, now)
        return (
            value is not None
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )


def read_number(task: TaskView, field: str, now: float) -> float | None:
    """Return a time (unix seconds) or duration (seconds) of `task`, if it is known."""
    if field == "runtime":
        return task.runtime
    if field == "wait":
        return compute_wait_s(task, now)
    at: str | None = getattr(task, f"{field}_at")
    return None if at is None else from_rfc3339(at)


def compute_wait_s(task: TaskView, now: float) -> float | None:
    """Return the seconds that `task` waited for its start, or has waited until `now`.

    They count from the time of sending, of a later attempt from its receipt, and never
    from before its eta. None if one of the two times is unknown.
    """
    is_first = (task.attempt or 1) <= 1
    since = (task.submitted_at if is_first else None) or task.received_at
    if since is None:
        return None
    begin = from_rfc3339(since)
    if task.eta is not None:
        begin = max(begin, from_rfc3339(task.eta))
    if task.started_at is not None:
        return max(from_rfc3339(task.started_at) - begin, 0.0)
    return max(now - begin, 0.0) if task.state in (PENDING, RECEIVED) else None
