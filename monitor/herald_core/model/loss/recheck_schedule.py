"""The back-off schedule of re-checks of unfinished tasks.

The interval grows while nothing changes, so that a steady state costs little.
"""

from __future__ import annotations

from collections.abc import Iterable

from herald_core.model.loss.lost_rules import MissingSince
from herald_core.model.tasks.views import TaskView, from_rfc3339

PAUSES_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds from one look to the next."""

REV_BITS = 32
STEP_BITS = 3
"""The state of a task's schedule in one number; the other number is its due time, in
ms."""


class RecheckSchedule:
    """The next check of each task. Times are unix seconds.

    `again` is the pause in seconds after a check that found the task nowhere. There may
    be hundreds of thousands of tasks, so each is stored as two numbers and no text.
    """

    def __init__(self, again: float) -> None:
        self._retry_after_s = again
        self._scheduled: dict[int, int] = {}
        self._missing_since: dict[int, tuple[MissingSince, float]] = {}

    def is_due(self, task: TaskView, now: float) -> bool:
        """Return True if `task` is due for a check; an event restarts the schedule."""
        check = self._read(task)
        if check is None:
            updated_at = from_rfc3339(task.updated_at) if task.updated_at else now
            due, step = min(updated_at, now) + PAUSES_S[0], 0
            self._missing_since.pop(hash(task.id), None)
            self._write(task, due, step)
        else:
            due, step = check
        return due <= now

    def record_found(self, task: TaskView, now: float) -> None:
        """Record a check that found `task` in its expected place, or had no result."""
        _, step = self._read(task) or (now, 0)
        self._missing_since.pop(hash(task.id), None)
        self._write(task, now + PAUSES_S[step], min(step + 1, len(PAUSES_S) - 1))

    def record_missing(self, task: TaskView, now: float) -> MissingSince:
        """Note a look that found `task` nowhere; return since when that is so."""
        check, key = self._read(task), hash(task.id)
        if check is None:
            self._missing_since.pop(key, None)
        absence, at = self._missing_since.get(key, (None, now))
        if absence is None:
            absence, at = MissingSince(now), now
        elif now - at >= self._retry_after_s:
            # Two checks at the same time are one: events in transit need time to
            # arrive.
            absence, at = MissingSince(absence.since, absence.checks + 1), now
        self._missing_since[key] = absence, at
        self._write(task, now + self._retry_after_s, check[1] if check else 0)
        return absence

    def retain(self, ids: Iterable[str]) -> None:
        """Delete all tasks but `ids`."""
        hashes = {hash(one) for one in ids}
        for key in [one for one in self._scheduled if one not in hashes]:
            del self._scheduled[key]
            self._missing_since.pop(key, None)

    def __len__(self) -> int:
        return len(self._scheduled)

    def _read(self, task: TaskView) -> tuple[float, int] | None:
        """Return when `task` is due, and the step of its pauses; None if it is new."""
        packed = self._scheduled.get(hash(task.id))
        if packed is None or packed & _make_mask(REV_BITS) != _hash_rev(task):
            return None
        packed >>= REV_BITS
        return (packed >> STEP_BITS) / 1000, packed & _make_mask(STEP_BITS)

    def _write(self, task: TaskView, due: float, step: int) -> None:
        packed = round(max(due, 0.0) * 1000) << STEP_BITS | step
        self._scheduled[hash(task.id)] = packed << REV_BITS | _hash_rev(task)


def _make_mask(bits: int) -> int:
    return (1 << bits) - 1


def _hash_rev(task: TaskView) -> int:
    return hash(task.rev) & _make_mask(REV_BITS)
