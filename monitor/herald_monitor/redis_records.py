"""Stored records, read: bytes → what is known."""

from __future__ import annotations

import msgspec

from herald_monitor.batch import Known, Shown, known_gap, known_task, known_worker
from herald_monitor.model.changes import GAP, TASK, WORKER
from herald_monitor.model.codec import unpack
from herald_monitor.model.reading import read
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tasks import Task
from herald_monitor.model.workers import WorkerImage, worker_image
from herald_monitor.store import Gap

_task = msgspec.msgpack.Decoder(Task)
_shown = msgspec.msgpack.Decoder(Shown)
_gap = msgspec.msgpack.Decoder(Gap)


def known(kind: str, stored: bytes) -> Known:
    """Return the record of `kind` that lies in `stored`."""
    if kind == TASK:
        return known_task(*unpack(stored, _task))
    if kind == WORKER:
        return known_worker(*unpack(stored, _shown))
    assert kind == GAP
    return known_gap(*unpack(stored, _gap))


def task_of(stored: bytes) -> Task:
    """Return the task that lies in `stored`."""
    return unpack(stored, _task)[2]


def image_of(stored: bytes) -> TaskImage:
    """Return the task that lies in `stored` as it is shown."""
    rev, _, task = unpack(stored, _task)
    return read(task, rev)


def first_of(stored: bytes) -> float:
    """Return when the task in `stored` was first heard of, in ms."""
    return float(stored.partition(b"\n")[0].partition(b" ")[2])


def worker_of(stored: bytes, now: float) -> WorkerImage:
    """Return the worker that lies in `stored` as it is shown at `now`."""
    rev, _, shown = unpack(stored, _shown)
    return worker_image(shown.worker, now, rev)


def gap_of(stored: bytes) -> Gap:
    """Return the gap that lies in `stored`."""
    rev, _, gap = unpack(stored, _gap)
    return msgspec.structs.replace(gap, rev=rev)
