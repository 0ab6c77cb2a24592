"""When each unfinished task is asked about next: less and less often while nothing
changes, so that a steady state costs little."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.whereabouts import Absence

PAUSES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds from one look to the next."""


class _Check(msgspec.Struct, gc=False):
    rev: str | None
    due: float
    step: int = 0
    absence: Absence | None = None
    absent_at: float = 0.0


class Checks:
    """The next look at each task. `again` is the pause after one that found nothing
    anywhere, in seconds; times are unix seconds."""

    def __init__(self, again: float) -> None:
        self._again = again
        self._checks: dict[str, _Check] = {}

    def is_due(self, task: TaskImage, now: float) -> bool:
        """Say whether to look at `task`; a word of it begins all anew."""
        check = self._checks.get(task.id)
        if check is None or check.rev != task.rev:
            heard = unix(task.updated_at) if task.updated_at else now
            check = _Check(task.rev, min(heard, now) + PAUSES[0])
            self._checks[task.id] = check
        return check.due <= now

    def looked(self, task: TaskImage, now: float) -> None:
        """Note a look that found `task` where it should be, or told nothing."""
        check = self._known(task, now)
        check.absence = None
        check.due = now + PAUSES[check.step]
        check.step = min(check.step + 1, len(PAUSES) - 1)

    def missed(self, task: TaskImage, now: float) -> Absence:
        """Note a look that found `task` nowhere; return since when that is so."""
        check = self._known(task, now)
        if check.absence is None:
            check.absence, check.absent_at = Absence(now), now
        elif now - check.absent_at >= self._again:
            # Two looks at once are one: what travels must have time to arrive.
            since, looks = check.absence.since, check.absence.looks
            check.absence, check.absent_at = Absence(since, looks + 1), now
        check.due = now + self._again
        return check.absence

    def keep(self, ids: Iterable[str]) -> None:
        """Forget all tasks but `ids`."""
        kept = set(ids)
        for task_id in [one for one in self._checks if one not in kept]:
            del self._checks[task_id]

    def __len__(self) -> int:
        return len(self._checks)

    def _known(self, task: TaskImage, now: float) -> _Check:
        check = self._checks.get(task.id)
        if check is None or check.rev != task.rev:
            check = self._checks[task.id] = _Check(task.rev, now)
        return check
