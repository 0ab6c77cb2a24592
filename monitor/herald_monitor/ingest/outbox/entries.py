"""Entries of the outbox stream: fields in, events out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import to_finite
from herald_monitor.ingest.consumers.envelope import (
    DECODE_ERRORS,
    JSON_TYPE,
    LARGE_BODY_BYTES,
    MAX_BODY_BYTES,
    OnInvalid,
    decode_message_body,
    drop_invalid,
    sample_body,
)
from herald_monitor.ingest.consumers.event_header import FastDecoder, WireEvent
from herald_worker.outbox.stream_format import DROPPED, DROPPED_SINCE, EVENTS, WRITER

MAX_DROPPED_EVENTS = 1_000_000_000
MAX_WRITER_CHARACTERS = 300

_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


class DroppedEvents(msgspec.Struct, frozen=True):
    """Events that a process dropped because its memory was full.

    `since` is the time of the first of them (unix seconds), if it is known.
    """

    number: int
    writer: str
    since: float | None


def parse_fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the fields of an entry, which Redis tells as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=False))


def decode_entry(
    fields: Mapping[bytes, bytes], decode: FastDecoder, on_invalid: OnInvalid
) -> list[WireEvent]:
    """Return the events of an entry; invalid ones go to `on_invalid`, alone."""
    body = fields.get(EVENTS.encode())
    if body is None:
        on_invalid(b"", f"An entry of the outbox has no field {EVENTS!r}.")
        return []
    if len(body) > MAX_BODY_BYTES:
        on_invalid(b"", f"An entry of the outbox has {len(body)} bytes.")
        return []
    if (events := decode(body)) is not None:
        return list(events)
    parts = _split(body)
    if len(parts) == 1:
        return _decode_slowly(parts[0], on_invalid)
    found: list[WireEvent] = []
    for part in parts:
        quickly = decode(part) if len(part) <= LARGE_BODY_BYTES else None
        found += _decode_slowly(part, on_invalid) if quickly is None else quickly
    return found


def _split(body: bytes) -> list[bytes]:
    """Return the events of an array, each as JSON; or the body if it is none."""
    try:
        return [bytes(part) for part in _decode_parts(body)]
    except DECODE_ERRORS:
        return [body]


def _decode_slowly(part: bytes, on_invalid: OnInvalid) -> list[WireEvent]:
    try:
        found = decode_message_body(part, JSON_TYPE, "utf-8", {}, (JSON_TYPE,))
    except InvalidEvent as error:
        on_invalid(sample_body(part, JSON_TYPE), str(error))
        return []
    return cast(list[WireEvent], drop_invalid(found, on_invalid))


def find_dropped(fields: Mapping[bytes, bytes]) -> DroppedEvents | None:
    """Return what the writer of an entry dropped before it, if it dropped any."""
    number = _to_number(fields.get(DROPPED.encode()))
    if number is None or not 1 <= number <= MAX_DROPPED_EVENTS:
        return None
    writer = fields.get(WRITER.encode(), b"?").decode("utf-8", "replace")
    since = _to_number(fields.get(DROPPED_SINCE.encode()))
    return DroppedEvents(int(number), writer[:MAX_WRITER_CHARACTERS], since)


def _to_number(text: bytes | None) -> float | None:
    try:
        return None if text is None else to_finite(float(text))
    except ValueError:
        return None
