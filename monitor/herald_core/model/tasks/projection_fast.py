"""The fast path of `projection` for plain tasks: sent, received, started, ended.

Nine tasks of ten have one attempt in one boot of one worker, and no reports. Their
projection is a fixed function of the marks; all others take the slow path. A test holds
both paths equal.
"""

from __future__ import annotations

from typing import Any

from herald_core.model.events.tags import decode_stamps
from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.tasks import views
from herald_core.model.tasks.attributes import INDEX_TERMS, read_shown_tags
from herald_core.model.tasks.deliveries import EventMark
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView, to_rfc3339

MAX_MARKS = 4
_MILESTONE_INDEX = {"received": 1, "started": 2, "succeeded": 3, "failed": 3}
_STATES = (views.PENDING, views.RECEIVED, views.STARTED)
_NO_ATTRIBUTE = (0, None)
_CLOCK_TOLERANCE_S = 1.0
"""Seconds of a clock that goes back, below which it is one boot for sure."""


def read_attributes(task: Task) -> dict[str, Any]:
    """Return the attributes of `task` with the highest precedence, by field."""
    facts: dict[str, Any] = {k: v[1] for k, v in task.attributes.items()}
    facts["root_id"], facts["parent_id"] = _find_family(task)
    if "stamps" in facts:
        facts["stamps"] = decode_stamps(facts["stamps"])
    if "tags" in facts or INDEX_TERMS in facts:
        facts["tags"] = read_shown_tags(task.attributes)
        facts.pop(INDEX_TERMS, None)
    return facts


def _find_family(task: Task) -> tuple[Any, Any]:
    """Return the ids of the root and the parent of `task`, if known."""
    root = task.attributes.get("root_id", _NO_ATTRIBUTE)[1]
    parent = task.attributes.get("parent_id", _NO_ATTRIBUTE)[1]
    if parent is not None and root == task.id:
        # Replaced by a chain, the root of a canvas names one of its own children.
        return root, None
    return root, parent


Milestones = tuple[
    EventMark | None, EventMark | None, EventMark | None, EventMark | None
]
"""Sent, received, started, ended."""


def _find_milestones(marks: tuple[EventMark, ...]) -> Milestones | None:
    """Return the marks of a first and only attempt, or None if it is not plain."""
    sent: EventMark | None = None
    told: list[EventMark | None] = [None, None, None]
    last: EventMark | None = None
    reached = 0
    for mark in marks:
        if mark.retries > 0:
            return None
        if mark.kind == "sent":
            if sent is not None:
                return None
            sent = mark
            continue
        place = _MILESTONE_INDEX.get(mark.kind, 0)
        if place <= reached:
            return None
        if last is None:
            # Without `received` it takes more to know the attempt.
            if place != 1 or mark.retries:
                return None
        elif (
            mark.host != last.host
            or mark.pid != last.pid
            or mark.at < last.at - _CLOCK_TOLERANCE_S
        ):
            return None
        told[place - 1] = last = mark
        reached = place
    return (sent, *told)  # type: ignore[return-value]


def project_simple(task: Task, rev: str | None) -> TaskView | None:
    """Return `task` as it is shown if it is a plain one."""
    if (
        task.reports
        or task.progress is not None
        or task.past is not None
        or not 0 < len(task.marks) <= MAX_MARKS
    ):
        return None
    steps = _find_milestones(task.marks)
    if steps is None or "stamps" in task.attributes:
        return None
    sent, received, started, end = steps
    by = end or started or received or sent
    assert by is not None, "a plain task has a mark"
    told = received or sent
    assert told is not None, "what starts plainly was received"
    expires = told.expires or (sent.expires if sent is not None else None)
    as_of = to_rfc3339(by.at)
    updated = by.at
    for mark in task.marks:
        if mark.at > updated:
            updated = mark.at
    if end is not None:
        state = views.SUCCESS if end.kind == "succeeded" else views.FAILURE
    else:
        state = _STATES[2 if started else 1 if received else 0]
    root, parent = _find_family(task)
    fact: Any = task.attributes.get
    # Arguments go by position: keywords take four times as long.
    return TaskView(
        task.id,
        fact("name", _NO_ATTRIBUTE)[1],
        state,
        1,  # attempt
        0,  # retries
        fact("args", _NO_ATTRIBUTE)[1],
        fact("kwargs", _NO_ATTRIBUTE)[1],
        fact("queue", _NO_ATTRIBUTE)[1],
        fact("routing_key", _NO_ATTRIBUTE)[1],
        (received.host or None) if received else None,
        (received.pid or None) if received else None,
        fact("priority", _NO_ATTRIBUTE)[1],
        to_rfc3339(told.eta) if told.eta else None,
        to_rfc3339(expires) if expires else None,
        root,
        parent,
        fact("group_id", _NO_ATTRIBUTE)[1],
        read_shown_tags(task.attributes)
        if "tags" in task.attributes or INDEX_TERMS in task.attributes
        else None,
        None,  # progress
        end.text if end and end.kind == "succeeded" else None,
        end.text if end and end.kind != "succeeded" else None,
        end.traceback if end else None,
        _find_runtime(started, end) if end else None,
        to_rfc3339(sent.at) if sent else None,
        to_rfc3339(received.at) if received else None,
        to_rfc3339(started.at) if started else None,
        as_of if end else None,  # finished_at
        as_of if updated == by.at else to_rfc3339(updated),
        by.source,
        as_of,
        None,  # reason
        False,  # conflict
        end is not None,
        fact("group_index", _NO_ATTRIBUTE)[1],
        fact("chord_id", _NO_ATTRIBUTE)[1],
        fact("trace_id", _NO_ATTRIBUTE)[1],
        fact("parent_span_id", _NO_ATTRIBUTE)[1],
        None,  # stamps
        make_fingerprint(end.text, end.traceback)
        if end and state == views.FAILURE
        else None,
        rev,
    )


def _find_runtime(started: EventMark | None, end: EventMark) -> float | None:
    if end.runtime is not None:
        return round(end.runtime, 6)
    if started is not None:
        return round(max(end.at - started.at, 0.0), 6)
    return None
