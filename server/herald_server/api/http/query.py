"""Parse query strings: one grammar for REST and the event stream."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import QueryParams

from herald_core.errors import InvalidInput
from herald_core.model.filters import KEYS, parse_filter
from herald_core.model.queries.moments import parse_instant
from herald_server.push.protocol.messages import (
    BadMessage,
    SubscribeMessage,
    parse_subscribe,
)

STREAM_KEYS = ("topic", "mode", "fields", "limit", "since")
"""Keys of the event stream, beside those of the filter."""

STREAM_SUB_ID = "events"
"""Name of the only subscription of an event stream."""

MAX_DIGITS = 9

MAX_PAGE_SIZE = 1_000

"""The end of a time that is the same time everywhere."""


def parse_filter_keys(query: QueryParams, own: Collection[str]) -> dict[str, list[str]]:
    """Return the filter keys in `query`; `own` keys mean something else.

    `state=A,B` and `state=A&state=B` are the same; ids contain no commas. Raises
    `InvalidFilter` for an unknown key.
    """
    given: dict[str, list[str]] = {}
    for key, value in query.multi_items():
        if key not in own:
            given.setdefault(key, []).extend(_split_values(value))
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        # The message of parse_filter names the keys of filters, not of queries.
        parse_filter({unknown[0]: ""})
    return {key: values for key, values in given.items() if values}


def parse_stream_query(
    query: QueryParams, last_event_id: str | None
) -> SubscribeMessage:
    """Return the subscription that the query of an event stream requests.

    `last_event_id` takes precedence over `since`: a browser that reconnects sends both.
    Raises `InvalidInput`.
    """
    since = last_event_id or query.get("since") or None
    request: dict[str, object] = {
        "type": "subscribe",
        "id": STREAM_SUB_ID,
        "filter": parse_filter_keys(query, STREAM_KEYS),
        "topic": query.get("topic"),
        "mode": query.get("mode"),
        "since": since,
    }
    if "fields" in query:
        request["fields"] = [
            part for value in query.getlist("fields") for part in _split_values(value)
        ]
    if "limit" in query:
        request["limit"] = _parse_number(query["limit"])
    try:
        return parse_subscribe(request)
    except BadMessage as error:
        raise InvalidInput(str(error)) from error


def parse_seconds(text: str | None, default: float, limit: float, key: str) -> float:
    """Return a number of seconds from 0 to `limit`. Raises `InvalidInput`."""
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= limit:
        raise InvalidInput(
            f"{key} must be a number of seconds from 0 to {limit:g}", key
        )
    return value


def parse_limit(text: str | None, default: int = 100, most: int = MAX_PAGE_SIZE) -> int:
    """Return a number of tasks from 1 to `most`. Raises `InvalidInput`."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise InvalidInput(f"limit must be a whole number from 1 to {most}", "limit")
    return int(text)


def parse_time(text: str | None, key: str) -> float | None:
    """Return an RFC 3339 time in unix seconds. Raises `InvalidInput`."""
    if text is None:
        return None
    # An unescaped + in a query is a space.
    at = parse_instant(text.replace(" ", "+"))
    if at is None:
        raise InvalidInput(
            f"{key} must be an RFC 3339 time such as 2026-01-31T12:00:00Z", key
        )
    return at


def _split_values(value: str) -> list[str]:
    return [part for part in value.split(",") if part]


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise InvalidInput("limit must be a whole number, 0 or more", "limit")
    return int(text)
