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
    if "parent_id" in facts and facts.get("root_id") == task.id:
        # Replaced by a chain, the root of a canvas names one of its own children.
        del facts["parent_id"]
    return facts


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
    facts = facts_of(task)
    if "tags" in facts:
        return None
    sent, received, started, end = steps
    by = end or started or received or sent
    assert by is not None, "a plain task has a mark"
    as_of = rfc3339(by.at)
    told = received or sent
    assert told is not None, "what starts plainly was received"
    if sent is not None:
        facts["submitted_at"] = rfc3339(sent.at)
    if received is not None:
        facts["worker"], facts["pid"] = received.host or None, received.pid or None
        facts["received_at"] = as_of if received is by else rfc3339(received.at)
    if started is not None:
        facts["started_at"] = as_of if started is by else rfc3339(started.at)
    if told.eta:
        facts["eta"] = rfc3339(told.eta)
    expires = told.expires or (sent.expires if sent is not None else None)
    if expires:
        facts["expires"] = rfc3339(expires)
    if end is not None:
        _tell_outcome(facts, started, end)
        facts["finished_at"] = as_of
    else:
        facts["state"] = _STATES[2 if started else 1 if received else 0]
    updated = max([mark.at for mark in task.marks])
    return TaskImage(
        id=task.id,
        attempt=1,
        retries=0,
        updated_at=as_of if updated == by.at else rfc3339(updated),
        source=by.source,
        as_of=as_of,
        final=end is not None,
        rev=rev,
        **facts,
    )


def _tell_outcome(facts: dict[str, Any], started: Mark | None, end: Mark) -> None:
    if end.kind == "succeeded":
        facts["state"], facts["result"] = shape.SUCCESS, end.text
    else:
        facts["state"], facts["exception"] = shape.FAILURE, end.text
    facts["traceback"] = end.traceback
    if end.runtime is not None:
        facts["runtime"] = round(end.runtime, 6)
    elif started is not None:
        facts["runtime"] = round(max(end.at - started.at, 0.0), 6)
