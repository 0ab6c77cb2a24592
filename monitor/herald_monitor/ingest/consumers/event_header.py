"""Headers of events that another process will decode: task, kind and clock.

While writer processes share the work, this process only routes events. Decoding and
encoding them here, and decoding them there, takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import msgspec

from herald_core.model.events.event import KINDS, MAX_NAME, Event, parse_event
from herald_core.model.events.event_fast import (
    WIRE_NAMES,
    DecodedEvent,
    EventKind,
    WireClock,
    WireId,
    WireInt,
    normalize,
)
from herald_monitor.ingest.consumers.envelope import (
    DECODE_ERRORS,
    JSON_TYPE,
    LARGE_BODY_BYTES,
    RawEvent,
    decode_fast,
    decode_message_body,
)

RawJson: TypeAlias = bytes | msgspec.Raw

if TYPE_CHECKING:
    _LocalTime: TypeAlias = float
    _LocalJson: TypeAlias = RawJson
else:
    # Received events may only have null here: Herald itself sets these fields.
    _LocalTime = _LocalJson = None


class EventHeader(msgspec.Struct, gc=False, rename=WIRE_NAMES):
    """The header of a usual event. After `stamp_header`, `kind` is the model's.

    `heard` is the time of arrival (unix seconds), `json` the received text.
    """

    kind: EventKind
    task_id: WireId
    host: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    pid: WireInt = 0
    clock: WireClock = 0
    arrived_at: _LocalTime = 0.0
    json: _LocalJson = b""

    source: ClassVar[str] = "event"


TaskEvent: TypeAlias = Event | EventHeader
"""An event of a task, decoded or not."""

WireEvent: TypeAlias = RawEvent | DecodedEvent | EventHeader
"""An event as it was decoded: the long way, the short one, or hardly at all."""

FastDecoder: TypeAlias = Callable[[bytes | str], Sequence[WireEvent] | None]
"""A decoder of usual JSON bodies; it returns None for others."""

_decode_header = msgspec.json.Decoder(EventHeader).decode
_decode_events = msgspec.json.Decoder(list[DecodedEvent]).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_headers(body: bytes | str) -> list[EventHeader] | None:
    """Decode only the headers of a JSON body; return None if an event is unusual."""
    if len(body) > LARGE_BODY_BYTES:
        return None
    try:
        told = body.encode() if isinstance(body, str) else body
        if told[:1] != b"[":
            return [_set_json(_decode_header(told), told)]
        parts = _decode_parts(told)
        return [_set_json(_decode_header(part), part) for part in parts]
    except DECODE_ERRORS:
        return None


def _set_json(event: EventHeader, json: RawJson) -> EventHeader:
    event.json = json
    return event


def stamp_header(event: EventHeader, heard: float) -> EventHeader:
    """Return `event`, received at a time (unix seconds), for routing; call it once."""
    event.kind = KINDS[event.kind]  # type: ignore[assignment]
    event.arrived_at = heard
    return event


def join_json(parts: list[RawJson]) -> bytes:
    """Return events as they travelled as one array of JSON."""
    return b"[%b]" % b",".join(parts)


def decode_array(
    array: bytes, heard: float, redact: Callable[[str], str]
) -> list[Event]:
    """Return the events of such an array, received at a time (unix seconds).

    Raises the error of an invalid event, an `InvalidEvent` most often.
    """
    try:
        said = _decode_events(array)
    except DECODE_ERRORS:
        return [
            _decode_json(bytes(part), heard, redact) for part in _decode_parts(array)
        ]
    return [normalize(event, heard, redact) for event in said]


def decode_full(event: EventHeader, redact: Callable[[str], str]) -> Event:
    """Return the full event of `event`, a result of `stamp_header`.

    Raises like `decode_array`.
    """
    return _decode_json(bytes(event.json), event.arrived_at, redact)


def _decode_json(json: bytes, heard: float, redact: Callable[[str], str]) -> Event:
    # The others of an array in which one is not as usual go the short way all the same.
    if (spoken := decode_fast(json)) is not None:
        return normalize(spoken[0], heard, redact)
    [raw] = decode_message_body(json, JSON_TYPE, "utf-8", {}, (JSON_TYPE,))
    event = parse_event(raw, heard, redact)
    assert event is not None, "it is of a kind that we follow"
    return event
