"""Encodes batches of events as entries of the stream; it never fails.

Events may hold what authors of tasks gave to `send_event`. What JSON cannot encode is
replaced by its `repr`, and so are NaN and infinity, which JSON does not know.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any, cast

from herald_worker.outbox.buffer import Event, OutboxBatch
from herald_worker.outbox.stream_format import (
    DROPPED,
    DROPPED_SINCE,
    EVENTS,
    WRITER,
    choose_stream,
)

MAX_ENTRY_EVENTS = 200
MAX_REPR_CHARACTERS = 1024
MAX_DEPTH = 20

Fields = dict[str, bytes | str | int]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the stream with the index `stream`."""

    stream: int
    fields: Fields
    events: int


def encode_batch(batch: OutboxBatch, pid: int, streams: int) -> list[Entry]:
    """Return the entries for the events of a batch, in their order."""
    entries: list[Entry] = []
    for stream, events in _split_by_stream(batch.events, streams).items():
        for begin in range(0, len(events), MAX_ENTRY_EVENTS):
            chunk = events[begin : begin + MAX_ENTRY_EVENTS]
            fields: Fields = {EVENTS: encode_events(chunk), WRITER: _name(chunk, pid)}
            entries.append(Entry(stream, fields, len(chunk)))
    if batch.dropped and entries:
        entries[0].fields[DROPPED] = batch.dropped
        entries[0].fields[DROPPED_SINCE] = str(batch.dropped_since)
    return entries


def encode_events(events: list[Event]) -> bytes:
    """Return a JSON array of the events, in UTF-8."""
    try:
        return _encoder.encode(events).encode()
    except Exception:
        return ("[" + ",".join(map(_encode_event, events)) + "]").encode()


def _encode_event(event: Event) -> str:
    try:
        text = _encoder.encode(event)
        text.encode()
    except Exception:
        return _encoder.encode(_copy_encodable(event, MAX_DEPTH))
    return text


def _split_by_stream(events: list[Event], streams: int) -> dict[int, list[Event]]:
    if streams == 1:
        return {0: events}
    found: dict[int, list[Event]] = {}
    for event in events:
        found.setdefault(_choose_event_stream(event, streams), []).append(event)
    return found


def _choose_event_stream(event: Event, streams: int) -> int:
    task_id = event.get("uuid")
    return choose_stream(task_id if isinstance(task_id, str) else None, streams)


def _name(events: list[Event], pid: int) -> str:
    hostname = str(events[0].get("hostname") or socket.gethostname())
    return f"{hostname}/{pid}".encode("utf-8", "replace").decode()


def _copy_encodable(value: object, depth: int) -> object:
    """Return a copy of `value` that consists of what JSON knows."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else repr(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth and isinstance(value, dict):
        items = list(cast(dict[object, object], value).items())
        return {
            _describe(key): _copy_encodable(inner, depth - 1) for key, inner in items
        }
    if depth and isinstance(value, list | tuple):
        inner = list(cast(list[object], value))
        return [_copy_encodable(one, depth - 1) for one in inner]
    return _describe(value)


def _describe(value: object) -> str:
    """Return text for a value that JSON does not know, or for a key."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:
        text = object.__repr__(value)
    return text[:MAX_REPR_CHARACTERS].encode("utf-8", "replace").decode()


_encoder = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=cast(Any, _describe),
)
