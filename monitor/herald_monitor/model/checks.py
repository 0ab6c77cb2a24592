"""When each unfinished task is asked about next: less and less often while nothing
changes, so that a steady state costs little."""

from __future__ import annotations

from collections.abc import Iterable

from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.whereabouts import Absence

PAUSES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds from one look to the next."""

REV_BITS = 32
STEP_BITS = 3
"""Of what is kept of a task in one number; the others are when it is due, in ms."""


class Checks:
    """The next look at each task. `again` is the pause after one that found nothing
    anywhere, in seconds; times are unix seconds.

    There may be hundreds of thousands, so of each two numbers are kept and no text.
    """

    def __init__(self, again: float) -> None:
        self._again = again
        self._checks: dict[int, int] = {}
        self._absent: dict[int, tuple[Absence, float]] = {}

    def is_due(self, task: TaskImage, now: float) -> bool:
        """Say whether to look at `task`; a word of it begins all anew."""
        check = self._read(task)
        if check is None:
            heard = unix(task.updated_at) if task.updated_at else now
            due, step = min(heard, now) + PAUSES[0], 0
            self._absent.pop(hash(task.id), None)
            self._write(task, due, step)
        else:
            due, step = check
        return due <= now

    def looked(self, task: TaskImage, now: float) -> None:
        """Note a look that found `task` where it should be, or told nothing."""
        _, step = self._read(task) or (now, 0)
        self._absent.pop(hash(task.id), None)
        self._write(task, now + PAUSES[step], min(step + 1, len(PAUSES) - 1))

    def missed(self, task: TaskImage, now: float) -> Absence:
        """Note a look that found `task` nowhere; return since when that is so."""
        check, key = self._read(task), hash(task.id)
        if check is None:
            self._absent.pop(key, None)
        absence, at = self._absent.get(key, (None, now))
        if absence is None:
            absence, at = Absence(now), now
        elif now - at >= self._again:
            # Two looks at once are one: what travels must have time to arrive.
            absence, at = Absence(absence.since, absence.looks + 1), now
        self._absent[key] = absence, at
        self._write(task, now + self._again, check[1] if check else 0)
        return absence

    def keep(self, ids: Iterable[str]) -> None:
        """Forget all tasks but `ids`."""
        kept = {hash(one) for one in ids}
        for key in [one for one in self._checks if one not in kept]:
            del self._checks[key]
            self._absent.pop(key, None)

    def __len__(self) -> int:
        return len(self._checks)

    def _read(self, task: TaskImage) -> tuple[float, int] | None:
        """Return when `task` is due, and the step of its pauses; None if it is new."""
        packed = self._checks.get(hash(task.id))
        if packed is None or packed & _ones(REV_BITS) != _rev(task):
            return None
        packed >>= REV_BITS
        return (packed >> STEP_BITS) / 1000, packed & _ones(STEP_BITS)

    def _write(self, task: TaskImage, due: float, step: int) -> None:
        packed = round(max(due, 0.0) * 1000) << STEP_BITS | step
        self._checks[hash(task.id)] = packed << REV_BITS | _rev(task)


def _ones(bits: int) -> int:
    return (1 << bits) - 1


def _rev(task: TaskImage) -> int:
    return hash(task.rev) & _ones(REV_BITS)
