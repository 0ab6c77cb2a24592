"""Decoding of stored records: bytes → `StoredRecord`."""

from __future__ import annotations

import msgspec

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER, to_public_rev
from herald_core.model.documents import DOCUMENT_KINDS, Document
from herald_core.model.gaps import Gap
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import WorkerView, make_worker_view
from herald_core.store.documents import to_stored_document
from herald_core.store.records import (
    AnnouncedWorker,
    StoredRecord,
    to_stored_gap,
    to_stored_queue,
    to_stored_task,
    to_stored_worker,
)
from herald_core.store.redis.encoding.record_codec import RecordHeader, decode_record

_task_decoder = msgspec.msgpack.Decoder(Task)
_worker_decoder = msgspec.msgpack.Decoder(AnnouncedWorker)
_gap_decoder = msgspec.msgpack.Decoder(Gap)
_queue_decoder = msgspec.msgpack.Decoder(QueueView)
_document_decoder = msgspec.msgpack.Decoder(Document)


def decode_stored(kind: str, stored: bytes) -> StoredRecord:
    """Return the record of `kind` in `stored`."""
    if kind == TASK:
        head, task = decode_record(stored, _task_decoder)
        record = to_stored_task(head.rev, head.first_seen_ms, task)
        return msgspec.structs.replace(record, number=head.number, due_ms=head.due_ms)
    if kind == WORKER:
        head, shown = decode_record(stored, _worker_decoder)
        return to_stored_worker(head.rev, head.first_seen_ms, shown)
    if kind == QUEUE:
        head, queue = decode_record(stored, _queue_decoder)
        return to_stored_queue(head.rev, head.first_seen_ms, queue)
    if kind in DOCUMENT_KINDS:
        head, document = decode_record(stored, _document_decoder)
        return to_stored_document(head.rev, head.first_seen_ms, document)
    assert kind == GAP
    head, gap = decode_record(stored, _gap_decoder)
    return to_stored_gap(head.rev, head.first_seen_ms, gap)


def decode_task(stored: bytes) -> Task:
    """Return the task in `stored`."""
    return decode_record(stored, _task_decoder)[1]


def decode_view(stored: bytes) -> TaskView:
    """Return the public view of the task in `stored`."""
    head, task = decode_record(stored, _task_decoder)
    return project(task, to_public_rev(head.rev))


def decode_view_with_header(stored: bytes) -> tuple[RecordHeader, TaskView]:
    """Return the header of the task in `stored`, and its public view."""
    head, task = decode_record(stored, _task_decoder)
    return head, project(task, to_public_rev(head.rev))


def decode_worker(stored: bytes, now: float, until: float | None = None) -> WorkerView:
    """Return the public view at `now` of the worker in `stored`.

    Its silence is proven up to `until`, if that is earlier.
    """
    head, shown = decode_record(stored, _worker_decoder)
    return make_worker_view(shown.worker, now, to_public_rev(head.rev), until)


def decode_gap(stored: bytes) -> Gap:
    """Return the gap in `stored`."""
    head, gap = decode_record(stored, _gap_decoder)
    return msgspec.structs.replace(gap, rev=to_public_rev(head.rev))


def decode_queue(stored: bytes) -> QueueView:
    """Return the queue in `stored`."""
    head, queue = decode_record(stored, _queue_decoder)
    return msgspec.structs.replace(queue, rev=to_public_rev(head.rev))


def decode_document(stored: bytes) -> Document:
    """Return the document in `stored`."""
    head, document = decode_record(stored, _document_decoder)
    return msgspec.structs.replace(document, rev=to_public_rev(head.rev))
