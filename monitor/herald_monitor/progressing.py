"""`progress`, for whoever writes tasks: how far a task is.

It needs nothing of Herald but this file, and nobody needs Herald to run a task that
calls it.
"""

from __future__ import annotations

import logging
import time
from typing import Any, cast

logger = logging.getLogger(__name__)

PAUSE = 0.2
"""Seconds between two words that are passed on."""

NOTED = "_herald_progress"
"""Where, on the request of a run, it stands what was said last, and when."""

POLICY = {"max_retries": 1, "interval_start": 0.0, "interval_max": 0.2}
"""A word about progress is not worth holding up the work."""


def progress(
    current: float, total: float | None = None, message: str = "", *, keep: bool = True
) -> None:
    """Say that the task that runs now has done `current` of `total`.

    Call it as often as you like: five words a second are passed on, and the last
    (`current` at `total`) always. Without `total`, `current` is in percent. It is
    sent as the event `task-progress`, also by workers without `-E`; `keep` stores
    it in the result backend too (state `PROGRESS`, as `update_state` does), if the
    task has one. Outside of a task it does nothing, and it never raises: what the
    task does matters more.
    """
    try:
        task = _running()
        if task is not None and _is_due(task.request, current, total):
            _say(task, current, total, message, keep)
    except Exception as error:
        logger.debug("progress is not told: %s", error)


def _running() -> Any:
    """Return the task that a worker runs in this thread; None outside of one."""
    from celery import current_task

    task = cast(Any, current_task)
    # The proxy is false outside of a task.
    if not task or task.request.called_directly or not task.request.id:
        return None
    return task


def _is_due(request: Any, current: float, total: float | None) -> bool:
    now = time.monotonic()
    done = current >= (100 if total is None else total)
    said, at = getattr(request, NOTED, (None, float("-inf")))
    if said == current or (now < at + PAUSE and not done):
        return False
    setattr(request, NOTED, (current, now))
    return True


def _say(
    task: Any, current: float, total: float | None, message: str, keep: bool
) -> None:
    whole = 100 if total is None else total
    told = {
        "current": current,
        "total": whole,
        "percent": round(100 * current / whole, 1) if whole else 100.0,
        **({"message": str(message)} if message else {}),
    }
    if task.request.is_eager:
        return
    try:
        task.send_event("task-progress", retry=True, retry_policy=POLICY, **told)
    finally:
        # The second way is gone too where the first is closed.
        if keep and _keeps_results(task):
            task.update_state(state="PROGRESS", meta=told)


def _keeps_results(task: Any) -> bool:
    from celery.backends.base import DisabledBackend

    ignored = task.request.ignore_result or task.ignore_result
    return not ignored and not isinstance(task.backend, DisabledBackend)
