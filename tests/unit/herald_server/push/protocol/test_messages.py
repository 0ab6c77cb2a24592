"""What clients may say, and what they are answered if they may not."""

import json
from typing import Any, Union

import msgspec
import pytest

from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_server.push.protocol.messages import (
    AuthMessage,
    BadMessage,
    ClientMessage,
    PingMessage,
    SubscribeMessage,
    UnsubscribeMessage,
    parse_message,
)
from herald_server.push.protocol.schemas import CLIENT_MESSAGES

SUB = {"type": "subscribe", "id": "s"}


GOOD: list[tuple[dict[str, Any], ClientMessage]] = [
    ({"type": "ping"}, PingMessage()),
    ({"type": "ping", "later": 1}, PingMessage()),
    ({"type": "auth", "token": "t"}, AuthMessage("t")),
    ({"type": "unsubscribe", "id": "s"}, UnsubscribeMessage("s")),
    (SUB, SubscribeMessage("s", Filter(), "t")),
    (
        {**SUB, "filter": None, "since": None, "mode": None, "topic": None}
        | {"fields": None, "limit": None},
        SubscribeMessage("s", Filter(), "t"),
    ),
    (
        {**SUB, "filter": {"state": "failure", "name": ["a.*", "b"]}},
        SubscribeMessage("s", Filter(state=("FAILURE",), name=("a.*", "b")), "t"),
    ),
    (
        {**SUB, "since": "17-3", "mode": "events", "limit": 0},
        SubscribeMessage(
            "s", Filter(), "t", Cursor(17, 3), all_transitions=True, limit=0
        ),
    ),
    ({**SUB, "mode": "changes"}, SubscribeMessage("s", Filter(), "t")),
    ({**SUB, "topic": "workers"}, SubscribeMessage("s", Filter(), "w")),
    ({**SUB, "topic": "counts"}, SubscribeMessage("s", Filter(), "c")),
    (
        {**SUB, "fields": ["state"]},
        SubscribeMessage("s", Filter(), "t", fields=frozenset(["id", "rev", "state"])),
    ),
]


@pytest.mark.parametrize(("said", "meant"), GOOD)
def test_a_message_is_read(said: dict[str, Any], meant: ClientMessage) -> None:
    assert parse_message(json.dumps(said)) == meant
    assert parse_message(json.dumps(said).encode()) == meant


BAD: list[tuple[Any, str, str]] = [
    ("", "bad_message", "not JSON; send one JSON object a text frame"),
    ("{", "bad_message", "not JSON; send one JSON object a text frame"),
    (b"\xff\xfe", "bad_message", "not JSON; send one JSON object a text frame"),
    ("[" * 5_000, "bad_message", "not JSON; send one JSON object a text frame"),
    ('{"id":"\\ud800"}', "bad_message", "not JSON"),
    ("[1]", "bad_message", "send one JSON object a text frame"),
    ("7", "bad_message", "send one JSON object a text frame"),
    ({}, "bad_message", "unknown message type 'None'; send subscribe, unsub"),
    ({"type": "subscrib"}, "bad_message", "did you mean 'subscribe'?"),
    ({"type": ["x" * 99]}, "bad_message", "unknown message type"),
    ({"type": "auth"}, "bad_message", "token must be a text"),
    ({"type": "auth", "token": 7}, "bad_message", "token must be a text"),
    ({"type": "subscribe"}, "bad_message", "id must be a text of 1 to 128"),
    ({**SUB, "id": ""}, "bad_message", "id must be a text of 1 to 128"),
    ({**SUB, "id": 7}, "bad_message", "id must be a text of 1 to 128"),
    ({**SUB, "id": "x" * 129}, "bad_message", "names the subscription"),
    ({"type": "unsubscribe"}, "bad_message", "id must be a text of 1 to 128"),
    ({**SUB, "filter": []}, "bad_filter", "filter must be an object, {} for every"),
    ({**SUB, "filter": {"stat": "X"}}, "bad_filter", "did you mean 'state'?"),
    ({**SUB, "filter": {"state": "DONE"}}, "bad_filter", "unknown state 'DONE'"),
    ({**SUB, "filter": {"ids": []}}, "bad_filter", "ids is an empty list"),
    ({**SUB, "filter": {"ids": ["x"] * 1_001}}, "too_many", "at most 1000 values"),
    ({**SUB, "filter": {"tag": ["x"] * 1_001}}, "too_many", "at most 1000 values"),
    ({**SUB, "since": 7}, "bad_cursor", "since must be a cursor that Herald sent"),
    ({**SUB, "since": "x"}, "bad_cursor", "'x' is no cursor; pass back one"),
    ({**SUB, "since": "-1-2"}, "bad_cursor", "is no cursor"),
    ({**SUB, "mode": "all"}, "bad_message", "mode must be one of changes, events"),
    ({**SUB, "mode": 7}, "bad_message", "mode must be one of changes, events"),
    ({**SUB, "topic": "x"}, "bad_message", "topic must be one of tasks, workers"),
    ({**SUB, "fields": "id"}, "bad_message", "fields must be a list of at most 64"),
    ({**SUB, "fields": ["x"] * 65}, "bad_message", "a list of at most 64 names"),
    ({**SUB, "fields": [7]}, "bad_message", "fields must be a list of names"),
    ({**SUB, "limit": -1}, "bad_message", "limit must be a whole number, 0 or"),
    ({**SUB, "limit": True}, "bad_message", "limit must be a whole number"),
    ({**SUB, "limit": "7"}, "bad_message", "limit must be a whole number"),
    ({**SUB, "limit": 1.5}, "bad_message", "limit must be a whole number"),
]


@pytest.mark.parametrize(("said", "code", "sentence"), BAD)
def test_what_cannot_be_meant_gets_a_sentence(
    said: Any, code: str, sentence: str
) -> None:
    text = json.dumps(said) if isinstance(said, dict) else said
    with pytest.raises(BadMessage) as refusal:
        parse_message(text)
    assert refusal.value.code == code
    assert sentence in str(refusal.value)
    assert not refusal.value.retry
    known = isinstance(said, dict) and '"subscribe", "id": "s"' in text
    assert refusal.value.sub == ("s" if known else None)


DOCUMENTED: Any = msgspec.json.Decoder(Union[CLIENT_MESSAGES])  # noqa: UP007


@pytest.mark.parametrize("said", [said for said, _ in GOOD])
def test_what_is_read_is_documented(said: dict[str, Any]) -> None:
    DOCUMENTED.decode(json.dumps(said))


# Keys and states of a filter are no part of the document.
UNDOCUMENTED: list[Any] = [
    said for said, code, _ in BAD if isinstance(said, dict) and code != "bad_filter"
]


@pytest.mark.parametrize("said", UNDOCUMENTED)
def test_what_is_refused_is_not_documented(said: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        DOCUMENTED.decode(json.dumps(said))
