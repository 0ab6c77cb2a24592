"""What is known of one task: marks and facts, joined in any order to the same.

A `Task` is a join-semilattice: `join` is commutative, associative and
idempotent, so events may come late, twice, through two monitors or shuffled.
Nothing here decides a state; that is read off by `reading.read`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from herald_monitor.model.events import Event, Progress
from herald_monitor.model.facts import Fact, facts_of_event, join_facts
from herald_monitor.model.marks import (
    bounded,
    holds,
    mark_key,
    or_less,
    report_key,
    report_order,
    sooner,
    unite,
)
from herald_monitor.model.past import Past, is_let_go, join_pasts
from herald_monitor.model.runs import Mark, arrival_ms, late_ms, latest_hearing


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest progress: `at` and `clock` order, `host` and `pid` break ties."""

    at: float
    clock: int
    host: str
    pid: int
    progress: Progress
    late: int = 0
    """As `Mark.late`."""

    @property
    def heard(self) -> float:
        """The latest moment at which it can have been heard."""
        return latest_hearing(self.at, self.late)


class Task(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was heard of one task.

    `marks` are what workers and clients said, `reports` what was found out by
    asking (result backend, inspect) or inferred. Both are kept sorted. `past` is what
    is left of marks that were let go of; see `settling.settle`.
    """

    id: str
    marks: tuple[Mark, ...] = ()
    reports: tuple[Mark, ...] = ()
    facts: dict[str, Fact] = {}
    step: Step | None = None
    past: Past | None = None


def merge(task: Task | None, event: Event) -> Task:
    """Return what is known once `event` is. The same object if it tells nothing new."""
    if task is None:
        return _told(event)
    if event.source == "event" and event.kind != "progress":
        return _marked(task, event)
    return join(task, _told(event))


def _marked(task: Task, event: Event) -> Task:
    """Join `task` with a single mark: what `join` does, in half of its time."""
    mark = mark_of(event)
    if task.past is not None and _is_over(task, mark):
        return task
    marks = _with_mark(task.marks, mark)
    new = facts_of_event(event)
    facts = join_facts(task.facts, new) if new else task.facts
    if marks is task.marks and facts is task.facts:
        return task
    return Task(task.id, marks, task.reports, facts, task.step, task.past)


def _is_over(task: Task, mark: Mark) -> bool:
    """Say whether `mark` was counted before, and is not kept."""
    assert task.past is not None, "nothing was let go of"
    return is_let_go(task.past, mark) and not holds(task.marks, mark_key(mark))


def join(a: Task, b: Task) -> Task:
    """Return all that `a` and `b` know of one task."""
    past = join_pasts(a.past, b.past)
    marks = a.marks if past is None else _kept(a.marks, b)
    others = b.marks if past is None else _kept(b.marks, a)
    marks = unite(marks, others, mark_key, sooner)
    reports = unite(a.reports, b.reports, report_key, report_order)
    facts = join_facts(a.facts, b.facts)
    step = (
        max(a.step, b.step, key=_step_order) if a.step and b.step else a.step or b.step
    )
    if (
        marks is a.marks
        and reports is a.reports
        and facts is a.facts
        and step == a.step
        and past is a.past
    ):
        return a
    return Task(a.id, marks, bounded(reports), facts, step, past)


def _kept(marks: tuple[Mark, ...], other: Task) -> tuple[Mark, ...]:
    """Return those of `marks` that `other` has not let go of; the same if all."""
    if other.past is None:
        return marks
    kept = tuple(mark for mark in marks if not _is_over(other, mark))
    return marks if len(kept) == len(marks) else kept


def _told(event: Event) -> Task:
    facts = facts_of_event(event)
    if event.kind == "progress":
        return Task(event.task_id, (), _running(event), facts, _step_of(event))
    mark = mark_of(event)
    if event.source in ("event", "submitted"):
        return Task(event.task_id, (mark,), (), facts)
    return Task(event.task_id, (), (mark,), facts)


def _step_of(event: Event) -> Step:
    assert event.progress is not None
    at, late = event.at, late_ms(event.at, event.heard)
    return Step(at, event.clock, event.host, event.pid, event.progress, late)


def mark_of(event: Event) -> Mark:
    """Return what `event` leaves on its task."""
    return Mark(
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
        event.said,
        late_ms(event.at, event.heard),
    )


def _running(event: Event) -> tuple[Mark, ...]:
    """Return that a task runs whose progress was stored; events say it themselves."""
    if event.source != "backend":
        return ()
    retries = -1 if event.retries is None else event.retries
    mark = Mark("started", event.host, event.pid, 0, event.at, "backend", retries)
    return (mark,)


def _with_mark(marks: tuple[Mark, ...], mark: Mark) -> tuple[Mark, ...]:
    """Return `marks` with one more, at its place; from the end, where most belong."""
    own = (mark.host, mark.pid, mark.clock)
    at = len(marks)
    for known in reversed(marks):
        other = (known.host, known.pid, known.clock)
        if other == own:
            # The rest of its key decides.
            return unite(marks, (mark,), mark_key, sooner)
        if other < own:
            break
        at -= 1
    return (*marks[:at], mark, *marks[at:])


def _step_order(step: Step) -> tuple[Any, ...]:
    p = step.progress
    return (
        step.at,
        step.clock,
        step.host,
        step.pid,
        or_less(p.percent, 0.0),
        or_less(p.current, 0.0),
        or_less(p.total, 0.0),
        or_less(p.message, ""),
        -arrival_ms(step.at, step.late),
    )
