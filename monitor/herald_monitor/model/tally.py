"""What a task adds to the minutes: each word of each attempt, once.

A tally is read off the task, as its image is. A store adds the difference of two
tallies in the step that stores the record, so whatever comes late, twice or by
another way, the minutes hold the sum of the tallies of all records.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from herald_monitor.model import shape
from herald_monitor.model.attempts import runs_of, sendings
from herald_monitor.model.rollups import bucket_of
from herald_monitor.model.runs import Run
from herald_monitor.model.selection import current
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.tasks import Task

Cell: TypeAlias = tuple[str, str | None, str | None, str, int]
"""Minute (RFC 3339 up to the minute), name, queue, word, bucket of the runtime
(-1: none)."""

Tally: TypeAlias = dict[Cell, int]

WORD_OF = {
    shape.SUCCESS: "succeeded",
    shape.FAILURE: "failed",
    shape.REVOKED: "revoked",
    shape.REJECTED: "rejected",
}
_UP_TO_MINUTE = 16


def difference(
    old: Task | None, was: TaskImage | None, new: Task, image: TaskImage
) -> Tally:
    """Return what a change of a task adds to the minutes, or takes from them.

    It is not to be changed: changes that add the same may share it.
    `was` and `image` are how the two are shown.
    """
    news = _plain_news(old, was, new, image)
    if news is not None:
        return _counted(image.name, image.queue, news)
    more = tally(new, image)
    if old is None or was is None:
        return more
    less = tally(old, was)
    for cell, number in less.items():
        left = more.pop(cell, 0) - number
        if left:
            more[cell] = left
    return more


_News: TypeAlias = tuple[str, str, str, str, str, int]
"""The minutes in which it was submitted, received, started and ended ("": that is no
news), the word of the ending, and the bucket of the runtime."""

_NOTHING = TaskImage(id="")


def _plain_news(
    old: Task | None, was: TaskImage | None, new: Task, image: TaskImage
) -> _News | None:
    """Return what a change of a plain task adds; None if it must be looked at.

    Under load nearly all changes are such, and most add what others of the batch do.
    """
    if old is None or was is None:
        was = _NOTHING
    elif (
        was.finished_at is not None
        or was.name != image.name
        or was.queue != image.queue
        or not _shows_all(old, was)
        or _tells_otherwise(was, image)
    ):
        return None
    if not _shows_all(new, image):
        return None
    told = image.submitted_at
    submitted = told[:_UP_TO_MINUTE] if told and was.submitted_at is None else ""
    told = image.received_at
    received = told[:_UP_TO_MINUTE] if told and was.received_at is None else ""
    told = image.started_at
    started = told[:_UP_TO_MINUTE] if told and was.started_at is None else ""
    if image.finished_at is None or image.state not in WORD_OF:
        return submitted, received, started, "", "", -1
    at, word, runtime = _ending(image.finished_at, image)
    bucket = -1 if runtime is None else bucket_of(runtime)
    return submitted, received, started, at[:_UP_TO_MINUTE], word, bucket


def _tells_otherwise(was: TaskImage, image: TaskImage) -> bool:
    """Say whether a time that was shown already is shown as another one."""
    return (
        (was.submitted_at is not None and was.submitted_at != image.submitted_at)
        or (was.received_at is not None and was.received_at != image.received_at)
        or (was.started_at is not None and was.started_at != image.started_at)
    )


def _shows_all(task: Task, image: TaskImage) -> bool:
    """Say whether `image` shows each mark of `task`, and nothing else."""
    shown = (
        (image.submitted_at is not None)
        + (image.received_at is not None)
        + (image.started_at is not None)
        + (image.finished_at is not None and image.state in WORD_OF)
    )
    return shown == len(task.marks) and not task.reports


@lru_cache(maxsize=1024)
def _counted(name: str | None, queue: str | None, news: _News) -> Tally:
    """Return the cells of `news`: one and the same tally for all that add the same."""
    submitted, received, started, ended, word, bucket = news
    told = (
        (submitted, "submitted", -1),
        (received, "received", -1),
        (started, "started", -1),
        (ended, word, bucket),
    )
    return {(at, name, queue, said, of): 1 for at, said, of in told if at}


def tally(task: Task, image: TaskImage) -> Tally:
    """Return what `task`, shown as `image`, counts for."""
    name, queue = image.name, image.queue
    told = told_plainly(task, image)
    if told is None:
        told = told_through(task, image)
    cells: Tally = {}
    for at, word, runtime in told:
        bucket = -1 if runtime is None else bucket_of(runtime)
        cell = (at[:_UP_TO_MINUTE], name, queue, word, bucket)
        cells[cell] = cells.get(cell, 0) + 1
    return cells


Told: TypeAlias = tuple[str, str, float | None]
"""When (RFC 3339), the word, and the runtime of what succeeded."""


def told_plainly(task: Task, image: TaskImage) -> list[Told] | None:
    """Return what is told of a task whose image shows each of its marks."""
    told: list[Told] = []
    if image.submitted_at is not None:
        told.append((image.submitted_at, "submitted", None))
    if image.received_at is not None:
        told.append((image.received_at, "received", None))
    if image.started_at is not None:
        told.append((image.started_at, "started", None))
    if image.finished_at is not None and image.state in WORD_OF:
        told.append(_ending(image.finished_at, image))
    return told if len(told) == len(task.marks) and not task.reports else None


def _ending(at: str, image: TaskImage) -> Told:
    word = WORD_OF[image.state]
    return at, word, image.runtime if word == "succeeded" else None


def told_through(task: Task, image: TaskImage) -> list[Told]:
    """Return what is told of each run; of the one that is shown, as it is shown."""
    runs = runs_of(task.marks, task.past)
    shown = current(runs) if runs else None
    # A message that is delivered twice was sent once.
    told: list[Told] = [
        (rfc3339(sent.at), "submitted", None) for sent in sendings(task.marks).values()
    ]
    for run in runs:
        if run is not shown:
            told += _of_run(run)
    return told + _of_shown(shown, image)


def _of_shown(run: Run | None, image: TaskImage) -> list[Told]:
    told: list[Told] = []
    if image.received_at is not None:
        told.append((image.received_at, "received", None))
    if image.started_at is not None:
        told.append((image.started_at, "started", None))
    if run is not None and not run.over:
        told += _end_of(run)
    if image.state in WORD_OF and image.finished_at is not None:
        told.append(_ending(image.finished_at, image))
    elif image.state == shape.LOST and image.as_of is not None:
        told.append((image.as_of, "lost", None))
    return told


def _of_run(run: Run) -> list[Told]:
    told: list[Told] = []
    if run.received:
        told.append((rfc3339(run.received.at), "received", None))
    if run.started:
        told.append((rfc3339(run.started.at), "started", None))
    return told + _end_of(run)


def _end_of(run: Run) -> list[Told]:
    end = run.end
    if end is None:
        return []
    word = "retried" if end.kind == "cancelled" else end.kind
    runtime = end.runtime if word == "succeeded" else None
    if runtime is None and word == "succeeded" and run.started:
        runtime = max(end.at - run.started.at, 0.0)
    return [(rfc3339(end.at), word, runtime)]


@lru_cache(maxsize=4096)
def minute_of(text: str) -> int:
    """Return the unix seconds at which the minute of a cell begins."""
    return int(datetime.fromisoformat(f"{text}:00+00:00").timestamp())
