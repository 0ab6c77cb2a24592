"""What a task returned, as whole as it can be had: for a page that asks for it."""

from __future__ import annotations

import msgspec

from herald_monitor.backends import FullResult, ResultBackend
from herald_monitor.errors import BadEvent, StoreError
from herald_monitor.model.shape import STATES, TaskImage

MOST = 4_000_000
"""Bytes that are told at most."""

USUAL = 1_000_000
WITHIN = 15.0
"""Seconds that the result backend has to answer."""

CUT = ("…", "...")
"""What Herald and Celery put where they cut."""


class Result(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of the outcome of a task, without secrets.

    `result` is the text of a Python `repr`; not `whole` if some of it is missing,
    or all. `size` is in bytes, as the backend stores it. `source` is `backend` or
    `event`, `message` says what is missing and why.
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


async def full_result(
    backend: ResultBackend | None, task: TaskImage, most: int = USUAL
) -> Result:
    """Return the outcome of `task`, of which at most `most` bytes are told."""
    if backend is None or not backend.can_ask:
        says = str(backend.describe()["says"]) if backend else "no backend is known"
        return told(task, f"Only what its event told is known: {says}.")
    try:
        found = await backend.full(task.id, most, WITHIN)
    except StoreError:
        raise
    except BadEvent as error:
        return told(task, f"The result backend's record cannot be read: {error}.")
    except Exception as error:  # any backend's library
        return told(task, f"Only what its event told is known: {error}.")
    if found is None:
        return told(task, "The result backend has nothing of it (any more).")
    return whole(task, found, most)


def told(task: TaskImage, why: str) -> Result:
    """Return what the events told of the outcome. Pure."""
    texts = (task.result, task.exception, task.traceback)
    cut = any(mark in text for text in texts if text for mark in CUT)
    if not any(texts):
        why = "It has not ended." if not task.final else why
    return Result(
        task_id=task.id,
        state=task.state,
        source="event",
        whole=bool(any(texts)) and not cut,
        result=task.result,
        exception=task.exception,
        traceback=task.traceback,
        message=why if cut or not any(texts) else "",
    )


def whole(task: TaskImage, found: FullResult, most: int) -> Result:
    """Return what the backend has of the outcome. Pure."""
    value = found.value
    missing = value is None and found.exception is None
    stored = b"" if value is None else value.encode()
    cut = len(stored) > most
    if cut:
        value = stored[:most].decode(errors="ignore")
    message = ""
    if missing or cut:
        message = f"Truncated: the result is {found.size:,} bytes."
        value = value or task.result
    return Result(
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
