"""What clients may say over `herald.v1`, checked; wrong ones get a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

import msgspec

from herald_monitor.errors import BadCursor, BadFilter, BadInput, TooManyValues
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.vector import parse_any_cursor
from herald_server.hub import TOPICS

TYPES = ("subscribe", "unsubscribe", "auth", "ping")
MODES = ("changes", "events")
MAX_SUB_ID = 128
MAX_FIELDS = 64


class BadMessage(BadInput):
    """A message that is refused. `code` is told to the client, `sub` answers it.

    `retry` tells that the same message may do later.
    """

    def __init__(
        self, code: str, message: str, sub: str | None = None, retry: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.sub = sub
        self.retry = retry


class Subscribe(msgspec.Struct, frozen=True):
    """A wish to be told. `limit` bounds the snapshot, not the changes."""

    id: str
    filter: Filter
    topic: str
    since: Cursor | None = None
    every: bool = False
    fields: frozenset[str] | None = None
    limit: int | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """A wish not to be told any more."""

    id: str


class Auth(msgspec.Struct, frozen=True):
    """A token, given or renewed."""

    token: str


class Ping(msgspec.Struct, frozen=True):
    """A question whether anybody is there."""


Message = Subscribe | Unsubscribe | Auth | Ping


def parse_message(text: str | bytes) -> Message:
    """Return what a client said. Raises `BadMessage`."""
    said = _object(text)
    kind = said.get("type")
    if kind == "subscribe":
        return parse_subscribe(said)
    if kind == "unsubscribe":
        return Unsubscribe(_sub_id(said))
    if kind == "auth":
        return Auth(_token(said))
    if kind == "ping":
        return Ping()
    close = get_close_matches(str(kind)[:40], TYPES, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else f"; send {', '.join(TYPES)}"
    raise BadMessage("bad_message", f"unknown message type {str(kind)[:40]!r}{meant}")


def _object(text: str | bytes) -> Mapping[str, object]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(
            "bad_message", "not JSON; send one JSON object a text frame"
        ) from error
    if not isinstance(said, dict):
        raise BadMessage("bad_message", "send one JSON object a text frame")
    return cast("dict[str, object]", said)


def _sub_id(said: Mapping[str, object]) -> str:
    sub = said.get("id")
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB_ID:
        raise BadMessage(
            "bad_message",
            f"id must be a text of 1 to {MAX_SUB_ID} characters that names "
            "the subscription",
        )
    return sub


def _token(said: Mapping[str, object]) -> str:
    token = said.get("token")
    if not isinstance(token, str):
        raise BadMessage("bad_message", "token must be a text")
    return token


def parse_subscribe(said: Mapping[str, object]) -> Subscribe:
    """Return the wish that `said` is, its type apart. Raises `BadMessage`."""
    sub = _sub_id(said)
    try:
        return Subscribe(
            id=sub,
            filter=_filter(said),
            topic=TOPICS[_one_of(said, "topic", tuple(TOPICS))],
            since=_since(said),
            every=_one_of(said, "mode", MODES) == "events",
            fields=_fields(said),
            limit=_limit(said),
        )
    except BadFilter as error:
        code = "too_many" if isinstance(error, TooManyValues) else "bad_filter"
        raise BadMessage(code, str(error), sub) from error
    except BadCursor as error:
        raise BadMessage("bad_cursor", str(error), sub) from error
    except BadInput as error:
        raise BadMessage("bad_message", str(error), sub) from error


def _filter(said: Mapping[str, object]) -> Filter:
    given = said.get("filter")
    if given is None:
        return Filter()
    if not isinstance(given, dict):
        raise BadFilter("filter must be an object, {} for everything", "filter")
    return parse_filter(cast("dict[str, object]", given))


def _one_of(said: Mapping[str, object], key: str, words: tuple[str, ...]) -> str:
    value = said.get(key)
    if value is None:
        return words[0]
    if not isinstance(value, str) or value not in words:
        raise BadInput(f"{key} must be one of {', '.join(words)}", key)
    return value


def _since(said: Mapping[str, object]) -> Cursor | None:
    since = said.get("since")
    if since is None:
        return None
    if not isinstance(since, str):
        raise BadCursor("since must be a cursor that Herald sent, or left out", "since")
    return parse_any_cursor(since)


def _fields(said: Mapping[str, object]) -> frozenset[str] | None:
    fields = said.get("fields")
    if fields is None:
        return None
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:  # pyright: ignore[reportUnknownArgumentType]
        raise BadInput(f"fields must be a list of at most {MAX_FIELDS} names", "fields")
    names = cast("list[object]", fields)
    if not all(isinstance(name, str) for name in names):
        raise BadInput("fields must be a list of names", "fields")
    return frozenset(cast("list[str]", names)) | {"id", "rev"}


def _limit(said: Mapping[str, object]) -> int | None:
    limit = said.get("limit")
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise BadInput("limit must be a whole number, 0 or more", "limit")
    return limit
