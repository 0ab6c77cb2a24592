"""Ids of traces and spans, made of the ids of tasks and groups. Pure.

The same task always has the same ids, whichever process exports it, so that a backend
that gets a span twice stores one.
"""

from __future__ import annotations

import hashlib

from herald_core.model.tasks.views import TaskView

TRACE_BYTES = 16
SPAN_BYTES = 8


def make_trace_id(task: TaskView) -> int:
    """Return the trace of a task: that of its `traceparent`, else of its root."""
    if task.trace_id is not None:
        return int(task.trace_id, 16)
    return _hash(f"trace {task.root_id or task.id}", TRACE_BYTES)


def make_task_span_id(task_id: str) -> int:
    """Return the id of the span of a whole task."""
    return _hash(f"task {task_id}", SPAN_BYTES)


def make_attempt_span_id(task_id: str, attempt: int, part: str) -> int:
    """Return the id of a part of an attempt: `wait` or `run`."""
    return _hash(f"{part} {attempt} {task_id}", SPAN_BYTES)


def make_group_span_id(group_id: str) -> int:
    """Return the id of the span of a group."""
    return _hash(f"group {group_id}", SPAN_BYTES)


def _hash(text: str, size: int) -> int:
    # Zero is no valid id (W3C Trace Context §3.2.2).
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1
