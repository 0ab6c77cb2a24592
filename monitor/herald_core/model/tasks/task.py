"""The record of one task: marks and attributes, joined in any order to the same.

A `Task` is a join-semilattice: `join` is commutative, associative and idempotent. So
events may arrive late, twice, through two monitors or shuffled. This module decides no
state: the projection derives it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from herald_core.model.events.event import Event, Progress
from herald_core.model.tasks.attributes import (
    Attribute,
    extract_attributes,
    join_attributes,
)
from herald_core.model.tasks.deliveries import (
    EventMark,
    encode_delay,
    to_arrival_ms,
    to_latest_arrival,
)
from herald_core.model.tasks.event_marks import (
    get_earlier_order,
    get_mark_key,
    get_report_key,
    get_report_order,
    has_mark,
    limit_reports,
    merge_marks,
    order_none_first,
)
from herald_core.model.tasks.past_deliveries import (
    PastDeliveries,
    is_compacted,
    join_pasts,
)


class ProgressMark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest progress: `at` and `clock` order, `host` and `pid` break ties."""

    at: float
    clock: int
    host: str
    pid: int
    progress: Progress
    delay: int = 0
    """As `Mark.late`."""

    @property
    def latest_arrival(self) -> float:
        """The latest possible time of arrival."""
        return to_latest_arrival(self.at, self.delay)


class Task(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All received information about one task.

    `marks` come from events of workers and clients, `reports` from queries (result
    backend, inspect) or inference. Both are sorted. `past` summarizes deleted marks,
    see `compaction`.
    """

    id: str
    marks: tuple[EventMark, ...] = ()
    reports: tuple[EventMark, ...] = ()
    attributes: dict[str, Attribute] = {}
    progress: ProgressMark | None = None
    past: PastDeliveries | None = None


def merge(task: Task | None, event: Event) -> Task:
    """Return the task with `event` merged. The same object if it adds nothing."""
    if task is None:
        return _to_task(event)
    if event.source == "event" and event.kind != "progress":
        return _join_mark(task, event)
    return join(task, _to_task(event))


def _join_mark(task: Task, event: Event) -> Task:
    """Join `task` with a single mark: the result of `join` in half of its time."""
    mark = to_mark(event)
    if task.past is not None and _is_compacted(task, mark):
        return task
    marks = _insert_mark(task.marks, mark)
    new = extract_attributes(event)
    facts = join_attributes(task.attributes, new) if new else task.attributes
    if marks is task.marks and facts is task.attributes:
        return task
    return Task(task.id, marks, task.reports, facts, task.progress, task.past)


def _is_compacted(task: Task, mark: EventMark) -> bool:
    """Return True if `mark` was counted before, and is not stored."""
    assert task.past is not None, "nothing was let go of"
    return is_compacted(task.past, mark) and not has_mark(
        task.marks, get_mark_key(mark)
    )


def join(a: Task, b: Task) -> Task:
    """Return all that `a` and `b` know of one task."""
    past = join_pasts(a.past, b.past)
    marks = a.marks if past is None else _without_compacted(a.marks, b)
    others = b.marks if past is None else _without_compacted(b.marks, a)
    marks = merge_marks(marks, others, get_mark_key, get_earlier_order)
    reports = merge_marks(a.reports, b.reports, get_report_key, get_report_order)
    facts = join_attributes(a.attributes, b.attributes)
    step = (
        max(a.progress, b.progress, key=_get_progress_order)
        if a.progress and b.progress
        else a.progress or b.progress
    )
    if (
        marks is a.marks
        and reports is a.reports
        and facts is a.attributes
        and step == a.progress
        and past is a.past
    ):
        return a
    return Task(a.id, marks, limit_reports(reports), facts, step, past)


def _without_compacted(
    marks: tuple[EventMark, ...], other: Task
) -> tuple[EventMark, ...]:
    """Return those of `marks` that `other` has not deleted; the same object if all."""
    if other.past is None:
        return marks
    kept = tuple(mark for mark in marks if not _is_compacted(other, mark))
    return marks if len(kept) == len(marks) else kept


def _to_task(event: Event) -> Task:
    facts = extract_attributes(event)
    if event.kind == "progress":
        return Task(
            event.task_id,
            (),
            _make_running_marks(event),
            facts,
            _to_progress_mark(event),
        )
    mark = to_mark(event)
    if event.source in ("event", "submitted"):
        return Task(event.task_id, (mark,), (), facts)
    return Task(event.task_id, (), (mark,), facts)


def _to_progress_mark(event: Event) -> ProgressMark:
    assert event.progress is not None
    at, late = event.at, encode_delay(event.at, event.arrived_at)
    return ProgressMark(at, event.clock, event.host, event.pid, event.progress, late)


def to_mark(event: Event) -> EventMark:
    """Return the mark of `event`."""
    return EventMark(
        event.kind,
        event.host,
        event.pid,
        event.clock,
        event.at,
        event.source,
        -1 if event.retries is None else event.retries,
        event.flag,
        event.eta,
        event.expires,
        event.runtime,
        event.result if event.kind == "succeeded" else event.exception,
        event.traceback,
        event.worker_time,
        encode_delay(event.at, event.arrived_at),
    )


def _make_running_marks(event: Event) -> tuple[EventMark, ...]:
    """Return the start of a task whose progress was stored; events carry their own."""
    if event.source != "backend":
        return ()
    retries = -1 if event.retries is None else event.retries
    mark = EventMark("started", event.host, event.pid, 0, event.at, "backend", retries)
    return (mark,)


def _insert_mark(
    marks: tuple[EventMark, ...], mark: EventMark
) -> tuple[EventMark, ...]:
    """Return `marks` with one more, at its place; from the end, where most belong."""
    own = (mark.host, mark.pid, mark.clock)
    at = len(marks)
    for known in reversed(marks):
        other = (known.host, known.pid, known.clock)
        if other == own:
            # The rest of its key decides.
            return merge_marks(marks, (mark,), get_mark_key, get_earlier_order)
        if other < own:
            break
        at -= 1
    return (*marks[:at], mark, *marks[at:])


def _get_progress_order(step: ProgressMark) -> tuple[Any, ...]:
    p = step.progress
    return (
        step.at,
        step.clock,
        step.host,
        step.pid,
        order_none_first(p.percent, 0.0),
        order_none_first(p.current, 0.0),
        order_none_first(p.total, 0.0),
        order_none_first(p.message, ""),
        -to_arrival_ms(step.at, step.delay),
    )
