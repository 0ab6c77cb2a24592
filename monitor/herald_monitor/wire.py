"""How Celery's events travel: message bodies in, event dicts out."""

import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec
from kombu.serialization import loads

from herald_monitor.decompression import decompress_bounded
from herald_monitor.errors import BadEvent
from herald_monitor.model.events import MAX_TEXT, MAX_TRACEBACK, shorten
from herald_monitor.model.spoken import Spoken
from herald_monitor.rare_collection import release_frames

RawEvent: TypeAlias = dict[str, object]
"""A decoded event as it travelled; never changed."""

Poison: TypeAlias = Callable[[bytes, str], None]
"""Told of each body that cannot be read (or what may be shown of it), and why."""

Tap: TypeAlias = Callable[[list[RawEvent], str], None]
"""Told of the events of each message, and of its routing key."""

JSON = "application/json"
LARGE = 100_000
"""Bytes of a body above which long values in it are cut at once: waiting in memory,
they would take as much of it as whoever sent them likes."""

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of a message above which it is not read: decoded, it has several times as many.
Celery sends dozens of events together at most; of a longer one, the result backend
tells how its task ended."""

MAX_FAULTS = 20
"""Things in one message that are told apart of those that are no events."""

TEXTUAL = ("application/json", "text/plain", "application/x-yaml")
"""Content types of which a sample can be shown: secrets in them can be found."""

_read_json = msgspec.json.Decoder().decode


class Properties(msgspec.Struct, gc=False):
    """What an envelope says of its body."""

    body_encoding: str | None = None


class Envelope(msgspec.Struct, rename="kebab", gc=False):
    """A message as kombu's Redis transport publishes it."""

    body: str
    content_type: str | None = JSON
    content_encoding: str | None = "utf-8"
    headers: dict[str, object] | None = None
    properties: Properties | None = None


class _UsualHeaders(msgspec.Struct, gc=False):
    compression: None = None


class _UsualProperties(msgspec.Struct, gc=False):
    body_encoding: Literal["base64"]


class _UsualEnvelope(msgspec.Struct, rename="kebab", gc=False):
    """The envelope that nearly every event comes in; its body is decoded with it."""

    body: bytes
    content_type: Literal["application/json"]
    properties: _UsualProperties
    headers: _UsualHeaders | None = None


UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

_read_envelope = msgspec.json.Decoder(Envelope).decode
_read_usual = msgspec.json.Decoder(_UsualEnvelope).decode
_read_one = msgspec.json.Decoder(Spoken).decode
_read_many = msgspec.json.Decoder(list[Spoken]).decode


def usual_body(published: bytes) -> bytes | None:
    """Return the body of what was published on Redis if it is as usual, or None."""
    if len(published) > MAX_BYTES:
        return None
    try:
        return _read_usual(published).body
    except UNREADABLE:
        return None


def quickly_read(body: bytes | str) -> list[Spoken] | None:
    """Read a body of JSON if all events in it are as usual; or else None."""
    if len(body) > LARGE:
        return None
    try:
        if body[:1] in (b"[", "["):
            return _read_many(body)
        return [_read_one(body)]
    except UNREADABLE:
        return None


def unwrap(published: bytes, accept: Collection[str]) -> list[RawEvent]:
    """Read what was published on Redis: one envelope, one or many events."""
    _refuse_large(published)
    try:
        envelope = _read_envelope(published)
    except UNREADABLE as error:
        raise BadEvent(f"This is no envelope of kombu's: {error}.") from error
    encoding = envelope.properties.body_encoding if envelope.properties else None
    body = _unwrap_body(envelope.body, encoding)
    kind = envelope.content_type
    return read_body(
        body, kind, envelope.content_encoding, envelope.headers or {}, accept
    )


def read_body(
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, object],
    accept: Collection[str],
) -> list[RawEvent]:
    """Read a message's body: one event dict, or a list as in `task.multi`."""
    _refuse_large(body)
    found = _read(body, content_type, content_encoding, headers, accept)
    return [_cut(event) for event in found] if len(body) > LARGE else found


def _refuse_large(body: bytes | str) -> None:
    if len(body) > MAX_BYTES:
        raise BadEvent(
            f"The message has {len(body)} bytes; more than {MAX_BYTES} are not read."
        )


def _read(
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, object],
    accept: Collection[str],
) -> list[RawEvent]:
    if content_type == JSON and "compression" not in headers:
        try:
            return _as_list(_read_json(body))
        except UNREADABLE:
            # Python's JSON is wider: NaN, lone surrogates, other charsets.
            pass
    return _as_list(_kombu_loads(body, content_type, content_encoding, headers, accept))


def _cut(event: object) -> RawEvent:
    """Return an event of a large body with its long values cut."""
    if not isinstance(event, dict):
        return cast(RawEvent, event)  # to be sorted out
    return {key: _cut_value(key, value) for key, value in cast(RawEvent, event).items()}


def _cut_value(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else shown(value)
    most = MAX_TRACEBACK if key == "traceback" else MAX_TEXT
    return value if len(text) <= most else shorten(text, most)


def inside(published: bytes) -> bytes:
    """Return what may be shown of something unreadable that was published on Redis."""
    if len(published) > MAX_BYTES:
        return f"({len(published)} bytes)".encode()
    try:
        envelope = _read_envelope(published)
    except UNREADABLE:
        return published
    encoding = envelope.properties.body_encoding if envelope.properties else None
    if envelope.headers and "compression" in envelope.headers:
        return excerpt(envelope.body, "compressed text")
    try:
        return excerpt(_unwrap_body(envelope.body, encoding), envelope.content_type)
    except (BadEvent, UnicodeError):
        return excerpt(envelope.body, "no base64")


def excerpt(body: bytes | str, content_type: str | None) -> bytes:
    """Return `body` if it is text in which secrets can be found, or else its size."""
    if content_type not in TEXTUAL:
        return f"({len(body)} bytes of {shorten(str(content_type), 60)})".encode()
    start = body[:MAX_TEXT]
    return start.encode("utf-8", "replace") if isinstance(start, str) else bytes(start)


def sort_out(found: list[RawEvent], poison: Poison) -> list[RawEvent]:
    """Return the events of `found`; what is none goes to `poison`."""
    for event in found:
        if type(event) is not dict or type(event.get("type")) is not str:
            break
    else:
        return found
    events: list[RawEvent] = []
    faults = 0
    for event in found:
        reason = _fault(event)
        if not reason:
            events.append(event)
            continue
        faults += 1
        if faults <= MAX_FAULTS:
            poison(shown(event).encode("utf-8", "replace"), reason)
    if faults > MAX_FAULTS:
        poison(b"", f"{faults - MAX_FAULTS} more in the same message are no events.")
    return events


def shown(value: object) -> str:
    """Return the `repr` of `value`, however it is made."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        # Nested hundreds deep, or an int of thousands of digits.
        return f"({type(value).__name__} that cannot be shown)"


def _fault(event: object) -> str:
    """Say why `event` is none; nothing if it is one."""
    if not isinstance(event, dict):
        return f"An event must be an object, and this is a {type(event).__name__}."
    if not isinstance(cast(RawEvent, event).get("type"), str):
        return "An event must have a type, and this has none."
    return ""


def _as_list(decoded: object) -> list[RawEvent]:
    if isinstance(decoded, list):
        return cast(list[RawEvent], decoded)
    if isinstance(decoded, dict):
        return [cast(RawEvent, decoded)]
    raise BadEvent(f"A body must be an object or a list, not {type(decoded).__name__}.")


def _unwrap_body(body: str, encoding: str | None) -> bytes:
    if encoding != "base64":
        return body.encode()
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BadEvent(f"The body is not base64: {error}.") from error


def _kombu_loads(
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
    except BadEvent:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        release_frames(error)
        raise BadEvent(f"The body ({content_type}) cannot be read: {what}.") from error
