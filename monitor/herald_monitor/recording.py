"""Raw events in a file: one message a line, as JSON.

    {"heard": 1795328775.02, "routing_key": "task.multi", "events": [{"type": …}, …]}

`heard` is when the message arrived (unix seconds), `events` are its events as
they travelled. What could not be read is `{"heard": …, "unread": "…"}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.redaction import MASK
from herald_monitor.wire import RawEvent, shown

Redact = Callable[[str], str]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message that was heard, or a text about one that could not be read."""

    heard: float
    routing_key: str = ""
    events: list[RawEvent] = []
    unread: str = ""


_decoder = msgspec.json.Decoder(Message)


def write_line(message: Message, redact: Redact | None = None) -> bytes:
    """Return `message` as a line; without secrets if there is a `redact`."""
    try:
        said = without_secrets(message, redact) if redact else message
        return msgspec.json.encode(said) + b"\n"
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError):
        # What JSON cannot hold is at least seen.
        unread = "; ".join(shown(event) for event in message.events)
        unread = unread.encode("utf-8", "replace").decode()
        plain = Message(
            heard=message.heard, unread=redact(unread) if redact else unread
        )
        return msgspec.json.encode(plain) + b"\n"


def without_secrets(message: Message, redact: Redact) -> Message:
    """Return `message` with the secrets in all of its values cut out."""
    return Message(
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


def read_lines(lines: Iterable[bytes], name: str) -> Iterator[Message]:
    """Yield the messages of a recording called `name`. Raises `BadInput`."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _message(line, f"{name}, line {number}")


def _message(line: bytes, place: str) -> Message:
    try:
        message = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadInput(
            f"{place} is no recorded message ({error}); each line must be an object"
            ' like {"heard": 1795328775.0, "events": [{"type": "task-sent"}]}'
        ) from error
    if not math.isfinite(message.heard) or not 0 <= message.heard < 1e11:
        raise BadInput(f"{place}: `heard` must be a time in unix seconds")
    return message
