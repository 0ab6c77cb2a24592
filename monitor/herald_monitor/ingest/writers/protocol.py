"""The protocol between a monitor and its writer processes, over a socket.

A frame is its length (4 bytes, big-endian) and MessagePack: jobs in one direction and
results in the other. A process sends one result once it is ready, then one for each
job, in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from herald_core.errors import (
    EventDecodeError,
    StoreError,
    StoreUnreachable,
    StoreUnwritable,
)
from herald_core.model.cursor import START
from herald_core.model.events.event import Event
from herald_core.model.vector_cursor import parse_any_cursor
from herald_core.store.types import WriteResult
from herald_monitor.ingest.consumers.event_header import RawJson, TaskEvent, join_json

HEADER_BYTES = 4
MAX_FRAME_BYTES = 1 << 30
"""Bytes of a frame: more is none of ours."""


class PackedEvent(Event, frozen=True, kw_only=True, gc=False, array_like=True):
    """An event as it travels: its values alone, which takes half as long."""


class StoreJob(msgspec.Struct, array_like=True):
    """Events to store; `unread` are JSON arrays, each with its time of arrival."""

    now: float
    events: list[PackedEvent]
    headers: list[tuple[float, bytes]]


class JobResult(msgspec.Struct, array_like=True):
    """The result of a job. `error` is the reason why nothing is stored for sure."""

    cursor: str = ""
    changes: int = 0
    error: str = ""
    unreachable: bool = False
    unwritable: bool = False
    undecodable: bool = False


_encode = msgspec.msgpack.Encoder().encode
decode_job = msgspec.msgpack.Decoder(StoreJob).decode
decode_result = msgspec.msgpack.Decoder(JobResult).decode


def encode_frame(told: JobResult) -> bytes:
    """Return a frame of it."""
    return _frame(told)


class _JobBuilder:
    """The part of some events for one process."""

    def __init__(self) -> None:
        self.packed: list[tuple[object, ...]] = []
        self.headers: list[tuple[float, bytes]] = []
        self.parts: list[RawJson] = []
        """The undecoded events that arrived at the same time."""

    def add_array(self, heard: float) -> None:
        """Add one array of events that were received at `heard`."""
        if self.parts:
            self.headers.append((heard, join_json(self.parts)))
            self.parts = []

    def encode_job(self, now: float) -> bytes:
        """Return the frame of its `StoreJob`; nothing if there is nothing to do."""
        if not self.packed and not self.headers:
            return b""
        return _frame((now, self.packed, self.headers))


def encode_jobs(events: Sequence[TaskEvent], now: float, number: int) -> list[bytes]:
    """Return a `StoreJob` frame for each process; events of one task go to one.

    The frame of a process without events is empty.
    """
    shares = [_JobBuilder() for _ in range(number)]
    heard, parts = 0.0, [share.parts for share in shares]
    for event in events:
        if isinstance(event, Event):
            # The other fields of a `DecodedEvent` come last: the decoder ignores them.
            share = shares[hash(event.task_id) % number]
            share.packed.append(msgspec.structs.astuple(event))
            continue
        if event.arrived_at != heard:
            for share in shares:
                share.add_array(heard)
            heard, parts = event.arrived_at, [share.parts for share in shares]
        parts[hash(event.task_id) % number].append(event.json)
    for share in shares:
        share.add_array(heard)
    return [share.encode_job(now) for share in shares]


def _frame(told: Any) -> bytes:
    body = _encode(told)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Return the content of the next frame; None if the other side has disconnected."""
    try:
        size = int.from_bytes(await reader.readexactly(HEADER_BYTES), "big")
        return await reader.readexactly(size) if size <= MAX_FRAME_BYTES else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def to_success(receipt: WriteResult) -> JobResult:
    """Return how a receipt travels."""
    cursor = "" if receipt.cursor == START else str(receipt.cursor)
    return JobResult(cursor, receipt.changes)


def to_failure(error: Exception) -> JobResult:
    """Return how an error of the store travels."""
    said = str(error) if isinstance(error, StoreError) else repr(error)
    return JobResult(
        error=said or repr(error),
        unreachable=isinstance(error, StoreUnreachable),
        unwritable=isinstance(error, StoreUnwritable),
        undecodable=isinstance(error, EventDecodeError),
    )


def to_receipt(told: JobResult) -> WriteResult:
    """Return the result in the frame. Raises the error in it instead."""
    if told.undecodable:
        raise EventDecodeError(told.error)
    if told.unreachable:
        raise StoreUnreachable(told.error)
    if told.unwritable:
        raise StoreUnwritable(told.error)
    if told.error:
        raise StoreError(told.error)
    cursor = parse_any_cursor(told.cursor) if told.cursor else START
    return WriteResult(cursor, told.changes)
