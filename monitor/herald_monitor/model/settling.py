"""Tasks of very many runs, made small: words of what is long over are let go of. Pure.

What they counted for stays counted: the minutes have it, and numbers of attempts go
on from where they were. So a task that is retried for ever takes no more room than one
that was retried some dozens of times, and is told the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from herald_monitor.model.attempts import runs_of, sendings
from herald_monitor.model.marks import mark_key
from herald_monitor.model.past import (
    NOTHING,
    Boot,
    Past,
    begun_key,
    boot_key,
    newest_boots,
)
from herald_monitor.model.runs import Mark, Run
from herald_monitor.model.selection import current
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tasks import Task

MAX_MARKS = 128
"""Marks that a stored task has at most, but for what one batch brings."""

KEPT_RUNS = 16
"""Runs whose words stay: what is heard late is of one of them."""


def settle(task: Task) -> Task:
    """Return `task` with few enough marks; the same object if it has them."""
    if len(task.marks) <= MAX_MARKS:
        return task
    runs = runs_of(task.marks, task.past)
    shown = current(runs)
    # In the order in which they were begun: the numbers of the rest go on from there.
    others = sorted((r for r in runs if r is not shown), key=lambda r: r.place)
    gone, kept = others[:-KEPT_RUNS], [*others[-KEPT_RUNS:], shown]
    marks = tuple(sorted(_marks_of(kept), key=mark_key))
    past = _past_of(gone, kept, task)
    small = msgspec.structs.replace(task, marks=marks, past=past)
    return msgspec.structs.replace(small, past=_number_alike(small, past, kept))


def _marks_of(runs: Sequence[Run]) -> Iterable[Mark]:
    sent = {mark_key(run.sent): run.sent for run in runs if run.sent}
    yield from sent.values()
    for run in runs:
        yield from (mark for mark in (run.received, run.started) if mark)
        # An outcome that is told again and again says nothing new.
        yield from {end.kind: end for end in sorted(run.ends, key=_age)}.values()


def _age(mark: Mark) -> tuple[int, float]:
    return (mark.clock, mark.at)


def _past_of(gone: Sequence[Run], kept: Sequence[Run], task: Task) -> Past:
    before = task.past or NOTHING
    sent = [mark.at for mark in sendings(task.marks).values()]
    if before.submitted is not None:
        sent.append(before.submitted)
    return Past(
        before.told,
        max([before.number, *(run.number for run in gone if run.has_begun)]),
        max(before.sendings, min(run.retries for run in kept)),
        min(sent, default=None),
        max([before.at, *(mark.at for mark in task.marks)]),
        max([before.heard, *(mark.arrived for mark in task.marks)]),
        {},
        _boots_of(gone, before.boots),
    )


def _boots_of(gone: Iterable[Run], before: dict[str, Boot]) -> dict[str, Boot]:
    boots = dict(before)
    for run in gone:
        for mark in (run.received, run.started, *run.ends):
            if mark is not None:
                key = boot_key(mark)
                clock, at = boots.get(key, (-1, 0.0))
                boots[key] = (max(clock, mark.clock), max(at, mark.spoken))
    return newest_boots(boots)


def _number_alike(small: Task, past: Past, kept: Sequence[Run]) -> Past:
    """Return `past` with the numbers of runs that would get others without it."""
    numbers = {begun_key(run): run.number for run in kept if run.has_begun}
    again = {
        begun_key(run): run.number
        for run in runs_of(small.marks, past)
        if run.has_begun
    }
    other = {key: n for key, n in numbers.items() if again.get(key) != n}
    return msgspec.structs.replace(past, numbers=other)


def goes_back(was: TaskImage, image: TaskImage) -> bool:
    """Say whether `image` shows less than was told before as `was`.

    Words of two monitors, or of a worker that was cut off, may arrive in another order
    than they were heard in. What was told stays told.
    """
    if was.attempt is None or image.attempt is None:
        return False
    return image.attempt < was.attempt or (
        was.final and not image.final and image.attempt == was.attempt
    )


def keep_attempt(task: Task, was: TaskImage, image: TaskImage) -> Task:
    """Return `task` so that it shows no attempt again that was told as another."""
    assert was.attempt is not None, "an attempt was told"
    told = was.attempt + (was.final and not image.final)
    past = msgspec.structs.replace(task.past or NOTHING, told=told)
    return msgspec.structs.replace(task, past=past)
