"""The short way to read the plainest of tasks: sent, received, started, over.

Nine tasks of ten have one attempt in one boot of one worker, and nobody was asked
about them. What `reading.read_through` makes of these is known beforehand; for
all others the short way is closed. That both ways lead to the same is a test.
"""

from __future__ import annotations

from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.runs import Mark
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.tasks import Task

MOST = 4
_PLACE = {"received": 1, "started": 2, "succeeded": 3, "failed": 3}
_STATES = (shape.PENDING, shape.RECEIVED, shape.STARTED)
_UNTOLD = (0, None)
_BACK = 1.0
"""Seconds of a clock that goes back, below which it is one boot for sure."""


def read_plain(task: Task, rev: str | None) -> TaskImage | None:
    """Return `task` as it is shown if it is a plain one."""
    if task.reports or task.step is not None or not 0 < len(task.marks) <= MOST:
        return None
    steps = _steps(task.marks)
    return None if steps is None else _image(task, steps, rev)


def facts_of(task: Task) -> dict[str, Any]:
    """Return what is believed of `task` as a whole, by field."""
    facts: dict[str, Any] = {k: v[1] for k, v in task.facts.items()}
    facts["root_id"], facts["parent_id"] = _family(task)
    return facts


def _family(task: Task) -> tuple[Any, Any]:
    """Return the ids of the root and the parent of `task`, as far as they are known."""
    root = task.facts.get("root_id", _UNTOLD)[1]
    parent = task.facts.get("parent_id", _UNTOLD)[1]
    if parent is not None and root == task.id:
        # Replaced by a chain, the root of a canvas names one of its own children.
        return root, None
    return root, parent


Steps = tuple[Mark | None, Mark | None, Mark | None, Mark | None]
"""Sent, received, started, ended."""


def _steps(marks: tuple[Mark, ...]) -> Steps | None:
    """Return the marks of a first and only attempt, or None if it is not plain."""
    sent: Mark | None = None
    told: list[Mark | None] = [None, None, None]
    last: Mark | None = None
    reached = 0
    for mark in marks:
        if mark.kind == "sent":
            if sent is not None or mark.retries > 0:
                return None
            sent = mark
            continue
        place = _PLACE.get(mark.kind, 0)
        if place <= reached:
            return None
        if last is None:
            # Without `received` it takes more to know the attempt.
            if place != 1 or mark.retries:
                return None
        elif (
            mark.host != last.host or mark.pid != last.pid or mark.at < last.at - _BACK
        ):
            return None
        told[place - 1] = last = mark
        reached = place
    return (sent, *told)  # type: ignore[return-value]


def _image(task: Task, steps: Steps, rev: str | None) -> TaskImage | None:
    if "tags" in task.facts:
        return None
    sent, received, started, end = steps
    by = end or started or received or sent
    assert by is not None, "a plain task has a mark"
    told = received or sent
    assert told is not None, "what starts plainly was received"
    expires = told.expires or (sent.expires if sent is not None else None)
    as_of = rfc3339(by.at)
    updated = by.at
    for mark in task.marks:
        if mark.at > updated:
            updated = mark.at
    root, parent = _family(task)
    fact: Any = task.facts.get
    # By place: by name so many take four times as long.
    return TaskImage(
        task.id,
        fact("name", _UNTOLD)[1],
        _state(steps),
        1,  # attempt
        0,  # retries
        fact("args", _UNTOLD)[1],
        fact("kwargs", _UNTOLD)[1],
        fact("queue", _UNTOLD)[1],
        fact("routing_key", _UNTOLD)[1],
        (received.host or None) if received else None,
        (received.pid or None) if received else None,
        fact("priority", _UNTOLD)[1],
        rfc3339(told.eta) if told.eta else None,
        rfc3339(expires) if expires else None,
        root,
        parent,
        fact("group_id", _UNTOLD)[1],
        None,  # tags
        None,  # progress
        end.text if end and end.kind == "succeeded" else None,
        end.text if end and end.kind != "succeeded" else None,
        end.traceback if end else None,
        _runtime(started, end) if end else None,
        rfc3339(sent.at) if sent else None,
        rfc3339(received.at) if received else None,
        rfc3339(started.at) if started else None,
        as_of if end else None,  # finished_at
        as_of if updated == by.at else rfc3339(updated),
        by.source,
        as_of,
        None,  # reason
        False,  # conflict
        end is not None,
        rev,
    )


def _state(steps: Steps) -> str:
    _, received, started, end = steps
    if end is not None:
        return shape.SUCCESS if end.kind == "succeeded" else shape.FAILURE
    return _STATES[2 if started else 1 if received else 0]


def _runtime(started: Mark | None, end: Mark) -> float | None:
    if end.runtime is not None:
        return round(end.runtime, 6)
    if started is not None:
        return round(max(end.at - started.at, 0.0), 6)
    return None
