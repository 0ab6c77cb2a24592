"""The counts that a task adds to the rollups: each event of each attempt, once.

The counts are derived from the task, as its image is. A store adds the difference in
the step that stores the record. So the rollups equal the sum over all records, even if
events arrive late, twice or by another way.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

import msgspec

from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.rollups.rollup import to_bucket
from herald_core.model.tasks import views
from herald_core.model.tasks.attempts import find_deliveries, find_sendings
from herald_core.model.tasks.deliveries import Delivery
from herald_core.model.tasks.states import select_public_delivery
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView, to_rfc3339

RollupCell: TypeAlias = tuple[str, str | None, str | None, str, int, str]
"""Minute (RFC 3339 up to the minute), name, queue, event, bucket of the runtime (-1:
none), and the fingerprint of a failed or retried attempt's cause ("": neither)."""


class NewEvents(msgspec.Struct, frozen=True):
    """The events that a change adds: `counts` by word, and the `words`."""

    counts: tuple[tuple[str, int], ...] = ()
    words: frozenset[str] = frozenset()


class RollupDelta(dict[RollupCell, int]):
    """A number by cell."""

    __slots__ = ("_events",)

    @property
    def events(self) -> NewEvents:
        """The new events; what merely moved to another cell is none."""
        try:
            return self._events
        except AttributeError:
            self._events: NewEvents = _find_new_events(self)
            return self._events


def _find_new_events(cells: RollupDelta) -> NewEvents:
    numbers: dict[str, int] = {}
    for (_, _, _, word, _, _), number in cells.items():
        numbers[word] = numbers.get(word, 0) + number
    # A task that was not lost after all takes that back, which no counter can.
    counts = tuple((w, n) for w, n in numbers.items() if n > 0 and w != "lost")
    return NewEvents(counts, frozenset(word for word, _ in counts))


WORDS_BY_STATE = {
    views.SUCCESS: "succeeded",
    views.FAILURE: "failed",
    views.REVOKED: "revoked",
    views.REJECTED: "rejected",
}
CAUSED_KINDS = ("failed", "retried")
"""The ends of an attempt that have a cause, an exception."""

_MINUTE_CHARS = 16


def make_delta(
    old: Task | None, was: TaskView | None, new: Task, image: TaskView
) -> RollupDelta:
    """Return the counts that a change of a task adds to the rollups, or subtracts.

    The result is shared by equal changes: do not modify it. `was` and `image` are the
    previous and the new image.
    """
    simple = _make_simple_delta(old, was, new, image)
    if simple is not None:
        return _make_cells(image.name, image.queue, simple)
    more = count_task(new, image)
    if old is None or was is None:
        return more
    less = count_task(old, was)
    for cell, number in less.items():
        left = more.pop(cell, 0) - number
        if left:
            more[cell] = left
    return more


_SimpleDelta: TypeAlias = tuple[str, str, str, str, str, int, str]
"""The minutes in which it was submitted, received, started and ended ("": no change),
the event of the end, the bucket of the runtime, and the cause of a failure."""

_NO_TASK = TaskView(id="")


def _make_simple_delta(
    old: Task | None, was: TaskView | None, new: Task, image: TaskView
) -> _SimpleDelta | None:
    """Return the counts of a change of a plain task; None for the slow path.

    Under load nearly all changes are plain, and most share their counts with others.
    """
    if old is None or was is None:
        was = _NO_TASK
    elif (
        was.finished_at is not None
        or was.name != image.name
        or was.queue != image.queue
        or not _has_all_marks(old, was)
        or _has_changed_time(was, image)
    ):
        return None
    if not _has_all_marks(new, image):
        return None
    time = image.submitted_at
    submitted = time[:_MINUTE_CHARS] if time and was.submitted_at is None else ""
    time = image.received_at
    received = time[:_MINUTE_CHARS] if time and was.received_at is None else ""
    time = image.started_at
    started = time[:_MINUTE_CHARS] if time and was.started_at is None else ""
    if image.finished_at is None or image.state not in WORDS_BY_STATE:
        return submitted, received, started, "", "", -1, ""
    at, word, runtime, cause = _make_end_event(image.finished_at, image)
    bucket = -1 if runtime is None else to_bucket(runtime)
    return submitted, received, started, at[:_MINUTE_CHARS], word, bucket, cause


def _has_changed_time(was: TaskView, image: TaskView) -> bool:
    """Return True if a time in the image was replaced by another one."""
    return (
        (was.submitted_at is not None and was.submitted_at != image.submitted_at)
        or (was.received_at is not None and was.received_at != image.received_at)
        or (was.started_at is not None and was.started_at != image.started_at)
    )


def _has_all_marks(task: Task, image: TaskView) -> bool:
    """Return True if `image` shows each mark of `task`, and nothing else."""
    shown = (
        (image.submitted_at is not None)
        + (image.received_at is not None)
        + (image.started_at is not None)
        + (image.finished_at is not None and image.state in WORDS_BY_STATE)
    )
    return shown == len(task.marks) and not task.reports


@lru_cache(maxsize=1024)
def _make_cells(
    name: str | None, queue: str | None, delta: _SimpleDelta
) -> RollupDelta:
    """Return the cells of `delta`: the same object for all that add the same."""
    submitted, received, started, ended, word, bucket, cause = delta
    events = (
        (submitted, "submitted", -1, ""),
        (received, "received", -1, ""),
        (started, "started", -1, ""),
        (ended, word, bucket, cause),
    )
    return RollupDelta(
        {
            (at, name, queue, word, bucket, cause): 1
            for at, word, bucket, cause in events
            if at
        }
    )


def count_task(task: Task, image: TaskView) -> RollupDelta:
    """Return the counts of `task`, whose image is `image`."""
    name, queue = image.name, image.queue
    events = list_simple_events(task, image)
    if events is None:
        events = list_events(task, image)
    cells = RollupDelta()
    for at, word, runtime, cause in events:
        bucket = -1 if runtime is None else to_bucket(runtime)
        cell = (at[:_MINUTE_CHARS], name, queue, word, bucket, cause)
        cells[cell] = cells.get(cell, 0) + 1
    return cells


CountedEvent: TypeAlias = tuple[str, str, float | None, str]
"""Time (RFC 3339), event, runtime of a success, and cause of a failure or a retry."""


def list_simple_events(task: Task, image: TaskView) -> list[CountedEvent] | None:
    """Return the events of a task whose image shows each of its marks."""
    events: list[CountedEvent] = []
    if image.submitted_at is not None:
        events.append((image.submitted_at, "submitted", None, ""))
    if image.received_at is not None:
        events.append((image.received_at, "received", None, ""))
    if image.started_at is not None:
        events.append((image.started_at, "started", None, ""))
    if image.finished_at is not None and image.state in WORDS_BY_STATE:
        events.append(_make_end_event(image.finished_at, image))
    return events if len(events) == len(task.marks) and not task.reports else None


def _make_end_event(at: str, image: TaskView) -> CountedEvent:
    word = WORDS_BY_STATE[image.state]
    runtime = image.runtime if word == "succeeded" else None
    return at, word, runtime, image.failure or ""


def list_events(task: Task, image: TaskView) -> list[CountedEvent]:
    """Return the events of each delivery; of the public one, as the image shows it."""
    runs = find_deliveries(task.marks, task.past)
    shown = select_public_delivery(task, runs) if runs else None
    # A message that is delivered twice was sent once.
    events: list[CountedEvent] = [
        (to_rfc3339(sent.at), "submitted", None, "")
        for sent in find_sendings(task.marks).values()
    ]
    for run in runs:
        if run is not shown or run.is_requeued:
            # The image of a returned message is that of its next delivery.
            events += _list_delivery_events(run)
    return events + _list_current_events(shown, image)


def _list_current_events(run: Delivery | None, image: TaskView) -> list[CountedEvent]:
    events: list[CountedEvent] = []
    if image.received_at is not None:
        events.append((image.received_at, "received", None, ""))
    if image.started_at is not None:
        events.append((image.started_at, "started", None, ""))
    if run is not None and not run.is_final and not run.is_requeued:
        events += _list_end_events(run)
    if image.state in WORDS_BY_STATE and image.finished_at is not None:
        events.append(_make_end_event(image.finished_at, image))
    elif image.state == views.LOST and image.as_of is not None:
        events.append((image.as_of, "lost", None, ""))
    return events


def _list_delivery_events(run: Delivery) -> list[CountedEvent]:
    events: list[CountedEvent] = []
    if run.received:
        events.append((to_rfc3339(run.received.at), "received", None, ""))
    if run.started:
        events.append((to_rfc3339(run.started.at), "started", None, ""))
    return events + _list_end_events(run)


def _list_end_events(run: Delivery) -> list[CountedEvent]:
    end = run.end
    if end is None:
        return []
    word = "retried" if end.kind == "cancelled" else end.kind
    runtime = end.runtime if word == "succeeded" else None
    if runtime is None and word == "succeeded" and run.started:
        runtime = max(end.at - run.started.at, 0.0)
    has_cause = end.kind in CAUSED_KINDS
    cause = make_fingerprint(end.text, end.traceback) if has_cause else ""
    return [(to_rfc3339(end.at), word, runtime, cause)]


@lru_cache(maxsize=4096)
def parse_minute(text: str) -> int:
    """Return the start of the minute of a cell in unix seconds."""
    return int(datetime.fromisoformat(f"{text}:00+00:00").timestamp())
