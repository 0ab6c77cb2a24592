"""Query strings: one grammar for REST and the event stream. Bad ones get a sentence."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import QueryParams

from herald_monitor.errors import BadInput
from herald_monitor.model.filters import KEYS, parse_filter
from herald_server.messages import BadMessage, Subscribe, parse_subscribe

STREAM = ("topic", "mode", "fields", "limit", "since")
"""Keys of the event stream, beside those of the filter."""

STREAM_ID = "events"
"""Name of the one subscription of an event stream."""

MOST_DIGITS = 9


def filter_keys(query: QueryParams, own: Collection[str]) -> dict[str, list[str]]:
    """Return the keys of a filter in `query`; `own` keys mean something else.

    `state=A,B` and `state=A&state=B` are the same; ids hold no commas. Raises
    `BadFilter` for a key that nobody knows.
    """
    given: dict[str, list[str]] = {}
    for key, value in query.multi_items():
        if key not in own:
            given.setdefault(key, []).extend(_parts(value))
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        # The sentence of parse_filter names the filter's keys, not ours.
        parse_filter({unknown[0]: ""})
    return {key: values for key, values in given.items() if values}


def stream_wish(query: QueryParams, last_event_id: str | None) -> Subscribe:
    """Return what the query of an event stream asks for.

    `last_event_id` is newer than `since`: a browser sends both when it comes
    back. Raises `BadInput`.
    """
    since = last_event_id or query.get("since") or None
    said: dict[str, object] = {
        "type": "subscribe",
        "id": STREAM_ID,
        "filter": filter_keys(query, STREAM),
        "topic": query.get("topic"),
        "mode": query.get("mode"),
        "since": since,
    }
    if "fields" in query:
        said["fields"] = [
            part for value in query.getlist("fields") for part in _parts(value)
        ]
    if "limit" in query:
        said["limit"] = _number(query["limit"])
    try:
        return parse_subscribe(said)
    except BadMessage as error:
        raise BadInput(str(error)) from error


def seconds(text: str | None, default: float, most: float, key: str) -> float:
    """Return a number of seconds from 0 to `most`. Raises `BadInput`."""
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise BadInput(f"{key} must be a number of seconds from 0 to {most:g}", key)
    return value


def _parts(value: str) -> list[str]:
    return [part for part in value.split(",") if part]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise BadInput("limit must be a whole number, 0 or more", "limit")
    return int(text)
