"""Progress as it travels: the result backend and an event, at most 5 a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import Task

SECONDS_BETWEEN: Final = 0.2


class Progress:
    """Passes on the first word, the last one, and one each pause between them."""

    def __init__(
        self,
        say: Callable[[int, int, str], None],
        clock: Callable[[], float] = time.monotonic,
        pause: float = SECONDS_BETWEEN,
    ) -> None:
        self._say = say
        self._clock = clock
        self._pause = pause
        self._next = float("-inf")
        self._last = -1

    def __call__(self, current: int, total: int, message: str) -> None:
        now = self._clock()
        done = current >= total
        if current <= self._last or (now < self._next and not done):
            return
        self._next, self._last = now + self._pause, current
        self._say(current, total, message)


def progress_of(task: Task[..., Any]) -> Progress:
    """Return the progress of the task that runs now."""
    return Progress(partial(report, task))


def report(task: Task[..., Any], current: int, total: int, message: str) -> None:
    """Tell the result backend and the monitors how far a task is."""
    percent = round(100 * current / total, 1) if total else 100.0
    meta = {
        "current": current,
        "total": total,
        "percent": percent,
        "message": message,
    }
    task.update_state(state="PROGRESS", meta=meta)
    task.send_event(
        "task-progress",
        current=current,
        total=total,
        percent=percent,
        message=message,
    )
