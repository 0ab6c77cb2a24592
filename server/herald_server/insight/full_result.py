"""Read the complete result of a task, for a page that requests it."""

from __future__ import annotations

import msgspec

from herald_core.errors import InvalidEvent, StoreError
from herald_core.model.tasks.views import STATES, TaskView
from herald_monitor.celery_client.backend.result_backend import (
    ResultBackend,
    StoredResult,
)

MAX_BYTES = 4_000_000
"""Maximum number of returned bytes."""

DEFAULT_BYTES = 1_000_000
TIMEOUT_S = 15.0
"""Seconds that the result backend has to answer."""

TRUNCATION_MARKS = ("…", "...")
"""What Herald and Celery put where they cut."""


class TaskResultDetail(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Outcome of a task, without secrets.

    `result` is the text of a Python `repr`; not `whole` if some or all of it is
    missing. `size` is in bytes, as stored in the backend. `source` is `backend` or
    `event`; `message` says what is missing and why.
    """

    task_id: str
    state: str
    source: str
    whole: bool
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    trace_id: str | None = None
    size: int | None = None
    message: str = ""


async def read_full_result(
    backend: ResultBackend | None, task: TaskView, max_bytes: int = DEFAULT_BYTES
) -> TaskResultDetail:
    """Return the outcome of `task`, with at most `max_bytes` bytes of the result."""
    if backend is None or not backend.can_ask:
        says = str(backend.describe()["says"]) if backend else "no backend is known"
        return make_event_result(
            task, f"Only the content of its event is known: {says}."
        )
    try:
        found = await backend.read_full(task.id, max_bytes, TIMEOUT_S)
    except StoreError:
        raise
    except InvalidEvent as error:
        return make_event_result(
            task, f"The result backend's record cannot be read: {error}."
        )
    except Exception as error:  # any backend's library
        return make_event_result(
            task, f"Only the content of its event is known: {error}."
        )
    if found is None:
        return make_event_result(
            task, "The result backend has nothing of it (any more)."
        )
    return make_backend_result(task, found, max_bytes)


def make_event_result(task: TaskView, why: str) -> TaskResultDetail:
    """Return the outcome that the events contain. Pure."""
    texts = (task.result, task.exception, task.traceback)
    cut = any(mark in text for text in texts if text for mark in TRUNCATION_MARKS)
    if not any(texts):
        why = "It has not ended." if not task.final else why
    return TaskResultDetail(
        task_id=task.id,
        state=task.state,
        source="event",
        whole=bool(any(texts)) and not cut,
        result=task.result,
        exception=task.exception,
        traceback=task.traceback,
        message=why if cut or not any(texts) else "",
    )


def make_backend_result(
    task: TaskView, found: StoredResult, max_bytes: int
) -> TaskResultDetail:
    """Return the outcome that the backend contains. Pure."""
    value = found.value
    missing = value is None and found.exception is None
    stored = b"" if value is None else value.encode()
    cut = len(stored) > max_bytes
    if cut:
        value = stored[:max_bytes].decode(errors="ignore")
    message = ""
    if missing or cut:
        message = f"Truncated: the result is {found.size:,} bytes."
        value = value or task.result
    return TaskResultDetail(
        task_id=task.id,
        state=found.status if found.status in STATES else task.state,
        source="backend",
        whole=not (missing or cut),
        result=value,
        exception=found.exception,
        traceback=found.traceback,
        trace_id=found.trace_id,
        size=found.size,
        message=message,
    )
