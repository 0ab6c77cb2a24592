"""The transport format of Celery's events: message bodies in, event dicts out."""

import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec
from kombu.serialization import loads

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import (
    MAX_TEXT,
    MAX_TRACEBACK,
    safe_repr,
    shorten,
    shorten_traceback,
)
from herald_core.model.events.event_fast import DecodedEvent
from herald_core.system.decompression import decompress_bounded
from herald_core.system.gc_tuning import release_frames

RawEvent: TypeAlias = dict[str, object]
"""A decoded event as it travelled; never changed."""

OnInvalid: TypeAlias = Callable[[bytes, str], None]
"""Called with each invalid body (or a safe sample of it), and the reason."""

OnMessage: TypeAlias = Callable[[list[RawEvent], str], None]
"""Called with the events of each message, and its routing key."""

JSON_TYPE = "application/json"
LARGE_BODY_BYTES = 100_000
"""Bytes of a body above which long values in it are truncated at once: otherwise the
sender decides how much memory they take while they wait."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of a message above which it is not decoded: decoded, it is several times as
large. Celery sends at most dozens of events together. Of a longer message, the result
backend reports how its task ended.
"""

MAX_FAULTS = 20
"""Invalid events of one message that are reported separately."""

TEXT_TYPES = ("application/json", "text/plain", "application/x-yaml")
"""Content types of which a sample can be shown: secrets in them can be found."""

_decode_json = msgspec.json.Decoder().decode


class EnvelopeProperties(msgspec.Struct, gc=False):
    """The properties of the body in an envelope."""

    body_encoding: str | None = None


class Envelope(msgspec.Struct, rename="kebab", gc=False):
    """A message as kombu's Redis transport publishes it."""

    body: str
    content_type: str | None = JSON_TYPE
    content_encoding: str | None = "utf-8"
    headers: dict[str, object] | None = None
    properties: EnvelopeProperties | None = None


class _FastHeaders(msgspec.Struct, gc=False):
    compression: None = None


class _FastProperties(msgspec.Struct, gc=False):
    body_encoding: Literal["base64"]


class _FastEnvelope(msgspec.Struct, rename="kebab", gc=False):
    """The envelope that nearly every event comes in; its body is decoded with it."""

    body: bytes
    content_type: Literal["application/json"]
    properties: _FastProperties
    headers: _FastHeaders | None = None


DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)

_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_fast_envelope = msgspec.json.Decoder(_FastEnvelope).decode
_decode_one = msgspec.json.Decoder(DecodedEvent).decode
_decode_many = msgspec.json.Decoder(list[DecodedEvent]).decode


def get_fast_body(published: bytes) -> bytes | None:
    """Return the body of a usual Redis publication, or None for any other."""
    if len(published) > MAX_BODY_BYTES:
        return None
    try:
        return _decode_fast_envelope(published).body
    except DECODE_ERRORS:
        return None


def decode_fast(body: bytes | str) -> list[DecodedEvent] | None:
    """Read a body of JSON if all events in it are as usual; or else None."""
    if len(body) > LARGE_BODY_BYTES:
        return None
    try:
        if body[:1] in (b"[", "["):
            return _decode_many(body)
        return [_decode_one(body)]
    except DECODE_ERRORS:
        return None


def decode_envelope(published: bytes, accept: Collection[str]) -> list[RawEvent]:
    """Decode a Redis publication: one envelope, one or many events."""
    _refuse_large(published)
    try:
        envelope = _decode_envelope(published)
    except DECODE_ERRORS as error:
        raise InvalidEvent(f"This is no envelope of kombu's: {error}.") from error
    encoding = envelope.properties.body_encoding if envelope.properties else None
    body = _decode_transfer(envelope.body, encoding)
    kind = envelope.content_type
    return decode_message_body(
        body, kind, envelope.content_encoding, envelope.headers or {}, accept
    )


def decode_message_body(
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, object],
    accept: Collection[str],
) -> list[RawEvent]:
    """Read a message's body: one event dict, or a list as in `task.multi`."""
    _refuse_large(body)
    found = _decode_any(body, content_type, content_encoding, headers, accept)
    return (
        [_truncate_event(event) for event in found]
        if len(body) > LARGE_BODY_BYTES
        else found
    )


def _refuse_large(body: bytes | str) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(
            f"The message has {len(body)} bytes; more than {MAX_BODY_BYTES} are not"
            " read."
        )


def _decode_any(
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, object],
    accept: Collection[str],
) -> list[RawEvent]:
    if content_type == JSON_TYPE and "compression" not in headers:
        try:
            return _to_list(_decode_json(body))
        except DECODE_ERRORS:
            # Python's JSON is wider: NaN, lone surrogates, other charsets.
            pass
    return _to_list(
        _load_with_kombu(body, content_type, content_encoding, headers, accept)
    )


def _truncate_event(event: object) -> RawEvent:
    """Return an event of a large body with its long values cut."""
    if not isinstance(event, dict):
        return cast(RawEvent, event)  # to be sorted out
    return {
        key: _truncate_value(key, value) for key, value in cast(RawEvent, event).items()
    }


def _truncate_value(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else safe_repr(value)
    if key == "traceback":
        return value if len(text) <= MAX_TRACEBACK else shorten_traceback(text)
    return value if len(text) <= MAX_TEXT else shorten(text, MAX_TEXT)


def sample_envelope(published: bytes) -> bytes:
    """Return a safe sample of an invalid Redis publication."""
    if len(published) > MAX_BODY_BYTES:
        return f"({len(published)} bytes)".encode()
    try:
        envelope = _decode_envelope(published)
    except DECODE_ERRORS:
        return published
    encoding = envelope.properties.body_encoding if envelope.properties else None
    if envelope.headers and "compression" in envelope.headers:
        return sample_body(envelope.body, "compressed text")
    try:
        return sample_body(
            _decode_transfer(envelope.body, encoding), envelope.content_type
        )
    except (InvalidEvent, UnicodeError):
        return sample_body(envelope.body, "no base64")


def sample_body(body: bytes | str, content_type: str | None) -> bytes:
    """Return `body` if it is text in which secrets can be found, or else its size."""
    if content_type not in TEXT_TYPES:
        return f"({len(body)} bytes of {shorten(str(content_type), 60)})".encode()
    start = body[:MAX_TEXT]
    return start.encode("utf-8", "replace") if isinstance(start, str) else bytes(start)


def drop_invalid(found: list[RawEvent], poison: OnInvalid) -> list[RawEvent]:
    """Return the events of `found`; invalid ones go to `poison`."""
    for event in found:
        if type(event) is not dict or type(event.get("type")) is not str:
            break
    else:
        return found
    events: list[RawEvent] = []
    faults = 0
    for event in found:
        reason = _find_fault(event)
        if not reason:
            events.append(event)
            continue
        faults += 1
        if faults <= MAX_FAULTS:
            poison(safe_repr(event).encode("utf-8", "replace"), reason)
    if faults > MAX_FAULTS:
        poison(b"", f"{faults - MAX_FAULTS} more in the same message are no events.")
    return events


def _find_fault(event: object) -> str:
    """Return why `event` is invalid; empty if it is valid."""
    if not isinstance(event, dict):
        return f"An event must be an object, and this is a {type(event).__name__}."
    if not isinstance(cast(RawEvent, event).get("type"), str):
        return "An event must have a type, and this has none."
    return ""


def _to_list(decoded: object) -> list[RawEvent]:
    if isinstance(decoded, list):
        return cast(list[RawEvent], decoded)
    if isinstance(decoded, dict):
        return [cast(RawEvent, decoded)]
    raise InvalidEvent(
        f"A body must be an object or a list, not {type(decoded).__name__}."
    )


def _decode_transfer(body: str, encoding: str | None) -> bytes:
    if encoding != "base64":
        return body.encode()
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidEvent(f"The body is not base64: {error}.") from error


def _load_with_kombu(
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, object],
    accept: Collection[str],
) -> object:
    try:
        if compression := headers.get("compression"):
            packed = body.encode() if isinstance(body, str) else body
            body = decompress_bounded(packed, compression)
        return cast(Any, loads)(
            body, content_type, content_encoding or "utf-8", accept=accept
        )
    except InvalidEvent:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        release_frames(error)
        raise InvalidEvent(
            f"The body ({content_type}) cannot be read: {what}."
        ) from error
