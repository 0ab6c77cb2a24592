"""What is known of one task: marks and facts, joined in any order to the same.

A `Task` is a join-semilattice: `join` is commutative, associative and
idempotent, so events may come late, twice, through two monitors or shuffled.
Nothing here decides a state; that is read off by `reading.read`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import msgspec

from herald_monitor.model.events import Event, Progress
from herald_monitor.model.facts import Fact, facts_of_event, join_facts
from herald_monitor.model.runs import ORDER, Mark

MAX_MARKS = 256
"""A task that is retried for ever keeps its latest attempts."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest progress: `at` and `clock` order, `host` and `pid` break ties."""

    at: float
    clock: int
    host: str
    pid: int
    progress: Progress
    late: int = 0
    """Whole seconds between `at` and its arrival."""

    @property
    def heard(self) -> float:
        """The latest moment at which it can have been heard."""
        return int(self.at) + self.late + 1.0 if self.late else self.at


class Task(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was heard of one task.

    `marks` are what workers and clients said, `reports` what was found out by
    asking (result backend, inspect) or inferred. Both are kept sorted.
    """

    id: str
    marks: tuple[Mark, ...] = ()
    reports: tuple[Mark, ...] = ()
    facts: dict[str, Fact] = {}
    step: Step | None = None


def merge(task: Task | None, event: Event) -> Task:
    """Return what is known once `event` is. The same object if it tells nothing new."""
    if task is None:
        return _told(event)
    if event.source == "event" and event.kind != "progress":
        return _marked(task, event)
    return join(task, _told(event))


def _marked(task: Task, event: Event) -> Task:
    """Join `task` with a single mark: what `join` does, in half of its time."""
    marks = _with_mark(task.marks, mark_of(event))
    new = facts_of_event(event)
    facts = join_facts(task.facts, new) if new else task.facts
    if marks is task.marks and facts is task.facts:
        return task
    return Task(task.id, _newest(marks), task.reports, facts, task.step)


def join(a: Task, b: Task) -> Task:
    """Return all that `a` and `b` know of one task."""
    marks = _union(a.marks, b.marks, _key, _sooner)
    reports = _union(a.reports, b.reports, _report_key, _later)
    facts = join_facts(a.facts, b.facts)
    step = (
        max(a.step, b.step, key=_step_order) if a.step and b.step else a.step or b.step
    )
    if (
        marks is a.marks
        and reports is a.reports
        and facts is a.facts
        and step == a.step
    ):
        return a
    return Task(a.id, _newest(marks), reports, facts, step)


def _told(event: Event) -> Task:
    facts = facts_of_event(event)
    if event.kind == "progress":
        return Task(event.task_id, (), _running(event), facts, _step_of(event))
    mark = mark_of(event)
    if event.source in ("event", "submitted"):
        return Task(event.task_id, (mark,), (), facts)
    return Task(event.task_id, (), (mark,), facts)


def _late(event: Event) -> int:
    """Return the whole seconds between `event` and its arrival."""
    heard, at = event.heard, event.at
    # Never negative: nothing is heard before it happened.
    return int(heard) - int(at) if heard is not None and heard > at else 0


def _step_of(event: Event) -> Step:
    assert event.progress is not None
    at, late = event.at, _late(event)
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
        _late(event),
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
            return _union(marks, (mark,), _key, _sooner)
        if other < own:
            break
        at -= 1
    return (*marks[:at], mark, *marks[at:])


def _union(
    a: tuple[Mark, ...],
    b: tuple[Mark, ...],
    key: Callable[[Mark], tuple[Any, ...]],
    order: Callable[[Mark], tuple[Any, ...]],
) -> tuple[Mark, ...]:
    for mark in b:
        own = key(mark)
        i = bisect_left(a, own, key=key)
        if i == len(a) or key(a[i]) != own:
            a = (*a[:i], mark, *a[i:])
        elif order(mark) > order(a[i]):
            a = (*a[:i], mark, *a[i + 1 :])
    return a


def _key(mark: Mark) -> tuple[Any, ...]:
    """Return what makes two marks the same saying.

    The time is part of it: a container that is restarted has its old hostname
    and pid, and its clock begins anew.
    """
    return (
        mark.host,
        mark.pid,
        mark.clock,
        ORDER[mark.kind],
        mark.source,
        _spoken(mark),
    )


def _spoken(mark: Mark) -> float:
    return mark.at if mark.said is None else mark.said


def _report_key(mark: Mark) -> tuple[Any, ...]:
    return (mark.source, mark.kind, mark.host)


def _sooner(mark: Mark) -> tuple[Any, ...]:
    # One saying, heard twice: the earlier hearing bounds its time better.
    return (-mark.at, -mark.late, *_content(mark))


def _later(mark: Mark) -> tuple[Any, ...]:
    return (mark.at, mark.late, *_content(mark))


def _content(mark: Mark) -> tuple[Any, ...]:
    return (
        mark.retries,
        mark.flag,
        mark.pid,
        mark.clock,
        _or_less(mark.text, ""),
        _or_less(mark.traceback, ""),
        _or_less(mark.eta, 0.0),
        _or_less(mark.expires, 0.0),
        _or_less(mark.runtime, 0.0),
        _or_less(mark.said, 0.0),
    )


def _or_less(value: object, least: object) -> tuple[bool, object]:
    """Return something that orders None before every `value`."""
    return (value is not None, least if value is None else value)


def _step_order(step: Step) -> tuple[Any, ...]:
    p = step.progress
    return (
        step.at,
        step.clock,
        step.host,
        step.pid,
        _or_less(p.percent, 0.0),
        _or_less(p.current, 0.0),
        _or_less(p.total, 0.0),
        _or_less(p.message, ""),
        -step.late,
    )


def _newest(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    if len(marks) <= MAX_MARKS:
        return marks
    # By what was said alone: an order that hearing alters would make the rest
    # depend on the order of joining.
    newest = sorted(marks, key=lambda m: (_spoken(m), _key(m)))[-MAX_MARKS:]
    return tuple(sorted(newest, key=_key))
