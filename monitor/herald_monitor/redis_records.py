"""Stored records, read: bytes → what is known."""

from __future__ import annotations

import msgspec

from herald_monitor.batch import (
    Known,
    Shown,
    known_gap,
    known_queue,
    known_task,
    known_worker,
)
from herald_monitor.model.changes import GAP, QUEUE, TASK, WORKER, shown_rev
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.reading import read
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tasks import Task
from herald_monitor.model.workers import WorkerImage, worker_image
from herald_monitor.records import Head, unpack
from herald_monitor.store import Gap

_task = msgspec.msgpack.Decoder(Task)
_shown = msgspec.msgpack.Decoder(Shown)
_gap = msgspec.msgpack.Decoder(Gap)
_queue = msgspec.msgpack.Decoder(QueueImage)


def known(kind: str, stored: bytes) -> Known:
    """Return the record of `kind` that lies in `stored`."""
    if kind == TASK:
        head, task = unpack(stored, _task)
        found = known_task(head.rev, head.first, task)
        return msgspec.structs.replace(found, number=head.number, due=head.due)
    if kind == WORKER:
        head, shown = unpack(stored, _shown)
        return known_worker(head.rev, head.first, shown)
    if kind == QUEUE:
        head, queue = unpack(stored, _queue)
        return known_queue(head.rev, head.first, queue)
    assert kind == GAP
    head, gap = unpack(stored, _gap)
    return known_gap(head.rev, head.first, gap)


def task_of(stored: bytes) -> Task:
    """Return the task that lies in `stored`."""
    return unpack(stored, _task)[1]


def image_of(stored: bytes) -> TaskImage:
    """Return the task that lies in `stored` as it is shown."""
    return headed_image(stored)[1]


def headed_image(stored: bytes) -> tuple[Head, TaskImage]:
    """Return what stands before the task in `stored`, and the task as it is shown."""
    head, task = unpack(stored, _task)
    return head, read(task, shown_rev(head.rev))


def worker_of(stored: bytes, now: float, until: float | None = None) -> WorkerImage:
    """Return the worker that lies in `stored` as it is shown at `now`.

    Its silence is proven up to `until`, if that is earlier.
    """
    head, shown = unpack(stored, _shown)
    return worker_image(shown.worker, now, shown_rev(head.rev), until)


def gap_of(stored: bytes) -> Gap:
    """Return the gap that lies in `stored`."""
    head, gap = unpack(stored, _gap)
    return msgspec.structs.replace(gap, rev=shown_rev(head.rev))


def queue_of(stored: bytes) -> QueueImage:
    """Return the queue that lies in `stored`."""
    head, queue = unpack(stored, _queue)
    return msgspec.structs.replace(queue, rev=shown_rev(head.rev))
