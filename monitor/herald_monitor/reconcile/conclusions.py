"""What Herald concludes of a task that no source knows. Pure.

A conclusion is an event of the source `inferred`, at the start of the scan: any later
event of the task ends it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.loss.loss_reasons import (
    MAY_HAVE_RUN,
    explain_loss,
    explain_unknown_end,
    explain_unknown_start,
)
from herald_core.model.loss.lost_rules import (
    ClusterSnapshot,
    MissingSince,
    TimeRanges,
    is_ended_by_itself,
    may_have_run,
    will_be_redelivered,
)
from herald_core.model.tasks.views import TaskView


class ScanEvidence(NamedTuple):
    """What a scan found out.

    `gaps` are the times in which events may have been missed. `superseded` holds the
    stored results of tasks that have started again since, by task id. A task is lost
    `lost_after` seconds after it went missing.
    """

    where: ClusterSnapshot
    gaps: TimeRanges
    superseded: Mapping[str, Event]
    lost_after: float


def decide_outcome(
    task: TaskView, absence: MissingSince, evidence: ScanEvidence
) -> Event | None:
    """Return what became of a missing `task`; None while it may still appear."""
    where, gaps = evidence.where, evidence.gaps
    why = explain_loss(task, where, absence, evidence.lost_after)
    if not why:
        return None
    if task.id in where.unrecoverable:
        said = explain_unknown_start(task, where, absence, gaps)
        return _make_event("ended", task, where.taken_at, said)
    if task.id in evidence.superseded:
        return _repeat_result(evidence.superseded[task.id], where.taken_at)
    if is_ended_by_itself(task, where):
        return _make_ignored_event(task, where.taken_at)
    why += f"; {MAY_HAVE_RUN}" if may_have_run(task, where, gaps) else ""
    again = will_be_redelivered(task, where)
    return _make_event("lost", task, where.taken_at, why, again=again)


def make_ended_event(task: TaskView, at: float) -> Event:
    """Return the event of a `task` that ended while nobody listened."""
    return _make_event("ended", task, at, explain_unknown_end(task))


def is_loss(event: Event) -> bool:
    """Return True if the task is lost; False if it ended or will be delivered again."""
    return event.kind == "lost" and not event.flag


def _repeat_result(result: Event, at: float) -> Event:
    """Return the stored `result` of an earlier delivery as of now.

    The later delivery is over, so the result counts again.
    """
    return msgspec.structs.replace(result, at=at, arrived_at=None, worker_time=None)


def _make_ignored_event(task: TaskView, at: float) -> Event:
    """Return the event of a `task` that ended in a state of its own."""
    why = (
        f"it gave itself the state {task.custom_state} and ended without a result"
        f" (Ignore()): worker {task.worker} lives and has it no more"
    )
    return _make_event("ignored", task, at, why)


def _make_event(
    kind: str, task: TaskView, at: float, why: str, *, again: bool = False
) -> Event:
    """Return an inferred event; `again`: the task will be delivered again."""
    return Event(
        kind=kind,
        task_id=task.id,
        at=at,
        source="inferred",
        host=task.worker or "",
        exception=why,
        flag=again,
    )
