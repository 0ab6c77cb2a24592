"""Parse the messages of clients over `herald.v1`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

import msgspec

from herald_core.errors import InvalidCursor, InvalidFilter, InvalidInput, TooManyValues
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.vector_cursor import parse_any_cursor
from herald_server.push.log.hub import TOPICS

MESSAGE_TYPES = ("subscribe", "unsubscribe", "auth", "ping")
MODES = ("changes", "events")
MAX_SUB_ID = 128
MAX_FIELDS = 64


class BadMessage(InvalidInput):
    """An invalid message. `code` is sent to the client, `sub` is the subscription.

    `retry`: the same message may succeed later.
    """

    def __init__(
        self, code: str, message: str, sub: str | None = None, retry: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.sub = sub
        self.retry = retry


class SubscribeMessage(msgspec.Struct, frozen=True):
    """A subscription request. `limit` bounds the snapshot, not the changes."""

    id: str
    filter: Filter
    topic: str
    since: Cursor | None = None
    all_transitions: bool = False
    fields: frozenset[str] | None = None
    limit: int | None = None


class UnsubscribeMessage(msgspec.Struct, frozen=True):
    """The end of a subscription."""

    id: str


class AuthMessage(msgspec.Struct, frozen=True):
    """A token, new or renewed."""

    token: str


class PingMessage(msgspec.Struct, frozen=True):
    """A request for a `pong`."""


ClientMessage = SubscribeMessage | UnsubscribeMessage | AuthMessage | PingMessage


def parse_message(text: str | bytes) -> ClientMessage:
    """Return the parsed message of a client. Raises `BadMessage`."""
    said = _parse_object(text)
    kind = said.get("type")
    if kind == "subscribe":
        return parse_subscribe(said)
    if kind == "unsubscribe":
        return UnsubscribeMessage(_parse_sub_id(said))
    if kind == "auth":
        return AuthMessage(_parse_token(said))
    if kind == "ping":
        return PingMessage()
    close = get_close_matches(str(kind)[:40], MESSAGE_TYPES, n=1)
    meant = (
        f"; did you mean {close[0]!r}?"
        if close
        else f"; send {', '.join(MESSAGE_TYPES)}"
    )
    raise BadMessage("bad_message", f"unknown message type {str(kind)[:40]!r}{meant}")


def _parse_object(text: str | bytes) -> Mapping[str, object]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(
            "bad_message", "not JSON; send one JSON object a text frame"
        ) from error
    if not isinstance(said, dict):
        raise BadMessage("bad_message", "send one JSON object a text frame")
    return cast("dict[str, object]", said)


def _parse_sub_id(said: Mapping[str, object]) -> str:
    sub = said.get("id")
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB_ID:
        raise BadMessage(
            "bad_message",
            f"id must be a text of 1 to {MAX_SUB_ID} characters that names "
            "the subscription",
        )
    return sub


def _parse_token(said: Mapping[str, object]) -> str:
    token = said.get("token")
    if not isinstance(token, str):
        raise BadMessage("bad_message", "token must be a text")
    return token


def parse_subscribe(said: Mapping[str, object]) -> SubscribeMessage:
    """Return the subscription request in `said`. Raises `BadMessage`."""
    sub = _parse_sub_id(said)
    try:
        return SubscribeMessage(
            id=sub,
            filter=_parse_filter(said),
            topic=TOPICS[_parse_choice(said, "topic", tuple(TOPICS))],
            since=_parse_since(said),
            all_transitions=_parse_choice(said, "mode", MODES) == "events",
            fields=_parse_fields(said),
            limit=_parse_limit(said),
        )
    except InvalidFilter as error:
        code = "too_many" if isinstance(error, TooManyValues) else "bad_filter"
        raise BadMessage(code, str(error), sub) from error
    except InvalidCursor as error:
        raise BadMessage("bad_cursor", str(error), sub) from error
    except InvalidInput as error:
        raise BadMessage("bad_message", str(error), sub) from error


def _parse_filter(said: Mapping[str, object]) -> Filter:
    given = said.get("filter")
    if given is None:
        return Filter()
    if not isinstance(given, dict):
        raise InvalidFilter("filter must be an object, {} for everything", "filter")
    return parse_filter(cast("dict[str, object]", given))


def _parse_choice(said: Mapping[str, object], key: str, words: tuple[str, ...]) -> str:
    value = said.get(key)
    if value is None:
        return words[0]
    if not isinstance(value, str) or value not in words:
        raise InvalidInput(f"{key} must be one of {', '.join(words)}", key)
    return value


def _parse_since(said: Mapping[str, object]) -> Cursor | None:
    since = said.get("since")
    if since is None:
        return None
    if not isinstance(since, str):
        raise InvalidCursor(
            "since must be a cursor that Herald sent, or left out", "since"
        )
    return parse_any_cursor(since)


def _parse_fields(said: Mapping[str, object]) -> frozenset[str] | None:
    fields = said.get("fields")
    if fields is None:
        return None
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:  # pyright: ignore[reportUnknownArgumentType]
        raise InvalidInput(
            f"fields must be a list of at most {MAX_FIELDS} names", "fields"
        )
    names = cast("list[object]", fields)
    if not all(isinstance(name, str) for name in names):
        raise InvalidInput("fields must be a list of names", "fields")
    return frozenset(cast("list[str]", names)) | {"id", "rev"}


def _parse_limit(said: Mapping[str, object]) -> int | None:
    limit = said.get("limit")
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise InvalidInput("limit must be a whole number, 0 or more", "limit")
    return limit
