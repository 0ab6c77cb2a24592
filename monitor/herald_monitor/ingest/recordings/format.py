"""The file format of recordings: one message a line, as JSON.

    {"heard": 1795328775.02, "routing_key": "task.multi", "events": [{"type": …}, …]}

`heard` is the arrival of the message (unix seconds), `events` are its events as
received. An invalid message is `{"heard": …, "unread": "…"}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.events.event import safe_repr
from herald_core.model.events.redaction import MASK
from herald_monitor.ingest.consumers.envelope import RawEvent

Redact = Callable[[str], str]


class RecordedMessage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A received message, or a description of an invalid one."""

    heard: float
    routing_key: str = ""
    events: list[RawEvent] = []
    unread: str = ""


_message_decoder = msgspec.json.Decoder(RecordedMessage)


def encode_line(message: RecordedMessage, redact: Redact | None = None) -> bytes:
    """Return `message` as a line; without secrets if there is a `redact`."""
    try:
        said = redact_message(message, redact) if redact else message
        return msgspec.json.encode(said) + b"\n"
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError):
        # A value that JSON cannot encode is at least visible.
        unread = "; ".join(safe_repr(event) for event in message.events)
        unread = unread.encode("utf-8", "replace").decode()
        plain = RecordedMessage(
            heard=message.heard, unread=redact(unread) if redact else unread
        )
        return msgspec.json.encode(plain) + b"\n"


def redact_message(message: RecordedMessage, redact: Redact) -> RecordedMessage:
    """Return `message` with the secrets in all of its values cut out."""
    return RecordedMessage(
        heard=message.heard,
        routing_key=message.routing_key,
        events=[_redact_object(event, redact) for event in message.events],
        unread=redact(message.unread),
    )


def _redact_object(value: Mapping[str, object], redact: Redact) -> RawEvent:
    return {
        key: MASK
        if _is_secret(key, redact) and inner is not None
        else _redact_value(inner, redact)
        for key, inner in value.items()
    }


def _redact_value(value: object, redact: Redact) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return _redact_object(cast(RawEvent, value), redact)
    if isinstance(value, list | tuple):
        return [_redact_value(inner, redact) for inner in cast(list[object], value)]
    return value


def _is_secret(key: str, redact: Redact) -> bool:
    said = f"{key}: 'x'"
    return redact(said) != said


def iter_messages(lines: Iterable[bytes], name: str) -> Iterator[RecordedMessage]:
    """Yield the messages of a recording called `name`. Raises `InvalidInput`."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _decode_message(line, f"{name}, line {number}")


def _decode_message(line: bytes, place: str) -> RecordedMessage:
    try:
        message = _message_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInput(
            f"{place} is no recorded message ({error}); each line must be an object"
            ' like {"heard": 1795328775.0, "events": [{"type": "task-sent"}]}'
        ) from error
    if not math.isfinite(message.heard) or not 0 <= message.heard < 1e11:
        raise InvalidInput(f"{place}: `heard` must be a time in unix seconds")
    return message
