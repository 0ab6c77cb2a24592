"""Events that another process will read: here only as much as says whose they are.

While writing processes share the work, to read an event here, to write it down for
one of them and to read it there takes twice as long as to pass it on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import msgspec

from herald_monitor.model.events import KINDS, MAX_NAME, Event, parse
from herald_monitor.model.spoken import WIRE, Clock, Id, Kind, Small, Spoken, settle
from herald_monitor.wire import (
    JSON,
    LARGE,
    UNREADABLE,
    RawEvent,
    quickly_read,
    read_body,
)

Json: TypeAlias = bytes | msgspec.Raw

if TYPE_CHECKING:
    _NotedTime: TypeAlias = float
    _NotedJson: TypeAlias = Json
else:
    # What is noted here may only be null where it is read: nobody else says it.
    _NotedTime = _NotedJson = None


class Unread(msgspec.Struct, gc=False, rename=WIRE):
    """An event of the usual kinds. Once it is `addressed`, `kind` is the model's.

    `heard` is when it arrived (unix seconds), `json` how it travelled.
    """

    kind: Kind
    task_id: Id
    host: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    pid: Small = 0
    clock: Clock = 0
    heard: _NotedTime = 0.0
    json: _NotedJson = b""

    source: ClassVar[str] = "event"


Told: TypeAlias = Event | Unread
"""Something said of a task, read or not."""

Said: TypeAlias = RawEvent | Spoken | Unread
"""An event as it was decoded: the long way, the short one, or hardly at all."""

Quick: TypeAlias = Callable[[bytes | str], Sequence[Said] | None]
"""How bodies of JSON are read that are as usual; it returns None for others."""

_read_one = msgspec.json.Decoder(Unread).decode
_read_spoken = msgspec.json.Decoder(list[Spoken]).decode
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def briefly_read(body: bytes | str) -> list[Unread] | None:
    """Read of a body of JSON only whose its events are; None if one is not as usual."""
    if len(body) > LARGE:
        return None
    try:
        told = body.encode() if isinstance(body, str) else body
        if told[:1] != b"[":
            return [_noted(_read_one(told), told)]
        parts = _parts(told)
        return [_noted(_read_one(part), part) for part in parts]
    except UNREADABLE:
        return None


def _noted(event: Unread, json: Json) -> Unread:
    event.json = json
    return event


def addressed(event: Unread, heard: float) -> Unread:
    """Return `event`, heard at a time (unix seconds), as it is passed on: once only."""
    event.kind = KINDS[event.kind]  # type: ignore[assignment]
    event.heard = heard
    return event


def joined(parts: list[Json]) -> bytes:
    """Return events as they travelled as one array of JSON."""
    return b"[%b]" % b",".join(parts)


def read_all(array: bytes, heard: float, redact: Callable[[str], str]) -> list[Event]:
    """Return what such an array tells, heard at a time (unix seconds).

    Raises whatever one raises that cannot be read, a `BadEvent` most often.
    """
    try:
        said = _read_spoken(array)
    except UNREADABLE:
        return [_read(bytes(part), heard, redact) for part in _parts(array)]
    return [settle(event, heard, redact) for event in said]


def read_whole(event: Unread, redact: Callable[[str], str]) -> Event:
    """Return what `event` tells, which was `addressed`. Raises as `read_all` does."""
    return _read(bytes(event.json), event.heard, redact)


def _read(json: bytes, heard: float, redact: Callable[[str], str]) -> Event:
    # The others of an array in which one is not as usual go the short way all the same.
    if (spoken := quickly_read(json)) is not None:
        return settle(spoken[0], heard, redact)
    [raw] = read_body(json, JSON, "utf-8", {}, (JSON,))
    event = parse(raw, heard, redact)
    assert event is not None, "it is of a kind that we follow"
    return event
