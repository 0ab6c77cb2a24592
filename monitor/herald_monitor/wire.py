"""How Celery's events travel: message bodies in, event dicts out."""

import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, cast

import msgspec
from kombu.compression import decompress
from kombu.serialization import loads

from herald_monitor.errors import BadEvent

RawEvent: TypeAlias = dict[str, object]
"""A decoded event as it travelled; never changed."""

Poison: TypeAlias = Callable[[bytes, str], None]
"""Told of each body that cannot be read, and why."""

JSON = "application/json"
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


_read_envelope = msgspec.json.Decoder(Envelope).decode


def unwrap(published: bytes, accept: Collection[str]) -> list[RawEvent]:
    """Read what was published on Redis: one envelope, one or many events."""
    try:
        envelope = _read_envelope(published)
    except msgspec.MsgspecError as error:
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
    if content_type == JSON and "compression" not in headers:
        try:
            return _as_list(_read_json(body))
        except msgspec.MsgspecError:
            # Python's JSON is wider: NaN, lone surrogates, other charsets.
            pass
    return _as_list(_kombu_loads(body, content_type, content_encoding, headers, accept))


def sort_out(found: list[RawEvent], poison: Poison) -> list[RawEvent]:
    """Return the events of `found`; what is none goes to `poison`."""
    for event in found:
        if type(event) is not dict or type(event.get("type")) is not str:
            break
    else:
        return found
    return [event for event in found if _is_event(event, poison)]


def _is_event(event: object, poison: Poison) -> bool:
    reason = _fault(event)
    if reason:
        poison(repr(event).encode(), reason)
    return not reason


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
            body = cast(Any, decompress)(body, compression)
        return cast(Any, loads)(
            body, content_type, content_encoding or "utf-8", accept=accept
        )
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise BadEvent(f"The body ({content_type}) cannot be read: {what}.") from error
