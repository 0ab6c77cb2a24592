"""`progress`, for authors of tasks: reports the progress of a task.

It needs no other package of Herald, and a task that calls it needs no running Herald.
"""

from __future__ import annotations

import logging
import time
from typing import Any, cast

from herald_worker.outbox.lookup import get_outbox

logger = logging.getLogger(__name__)

KIND = "task-progress"

MIN_INTERVAL_S = 0.2
"""Seconds between two reports that are sent."""

PROGRESS_ATTRIBUTE = "_herald_progress"
"""The attribute of a request that holds the last report, and its time."""

RETRY_POLICY = {"max_retries": 1, "interval_start": 0.0, "interval_max": 0.2}
"""A report of progress must not delay the task's own work."""


def progress(
    current: float, total: float | None = None, message: str = "", *, keep: bool = True
) -> None:
    """Report that the current task has done `current` of `total`.

    Call it as often as you like. At most five reports a second are sent, and always the
    last (`current` at `total`). Without `total`, `current` is in percent. It is sent as
    the event `task-progress`, also by workers without `-E`. `keep` stores it in the
    result backend too (state `PROGRESS`, as `update_state` does), if the task has one.
    Outside of a task it does nothing. It never raises: the task's own work has
    priority.
    """
    try:
        task = _get_running_task()
        if task is not None and _is_due(task.request, current, total):
            _send_progress(task, current, total, message, keep)
    except Exception as error:
        logger.debug("Progress is not reported: %s", error)


def _get_running_task() -> Any:
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
    said, at = getattr(request, PROGRESS_ATTRIBUTE, (None, float("-inf")))
    if said == current or (now < at + MIN_INTERVAL_S and not done):
        return False
    setattr(request, PROGRESS_ATTRIBUTE, (current, now))
    return True


def _send_progress(
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
        _send_event(task, told)
    finally:
        # The second way is gone too where the first is closed.
        if keep and _has_result_backend(task):
            task.update_state(state="PROGRESS", meta=told)


def _send_event(task: Any, told: dict[str, Any]) -> None:
    """Record the event in the outbox; publish it without one, or if both is wanted."""
    outbox = get_outbox(task.app)
    if outbox is None or outbox.settings.also_publish:
        task.send_event(KIND, retry=True, retry_policy=RETRY_POLICY, **told)
    else:
        request = task.request
        fields = {"hostname": request.hostname, "uuid": request.id, **told}
        outbox.record(task.app, KIND, **fields)


def _has_result_backend(task: Any) -> bool:
    from celery.backends.base import DisabledBackend

    ignored = task.request.ignore_result or task.ignore_result
    return not ignored and not isinstance(task.backend, DisabledBackend)
