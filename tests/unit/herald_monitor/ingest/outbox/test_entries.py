"""Entries are decoded by the short way; what is odd in them by the long one, alone."""

import json

import pytest

from herald_core.model.events.event_fast import DecodedEvent
from herald_monitor.ingest.consumers.envelope import (
    LARGE_BODY_BYTES,
    MAX_BODY_BYTES,
    decode_fast,
)
from herald_monitor.ingest.consumers.event_header import (
    EventHeader,
    FastDecoder,
    decode_headers,
)
from herald_monitor.ingest.outbox.entries import (
    DroppedEvents,
    decode_entry,
    find_dropped,
    parse_fields,
)
from tests.support.outbox.writing import make_task_event, make_worker_event

Invalid = list[str]


def decode(body: bytes, decoder: FastDecoder = decode_fast) -> tuple[list[str], int]:
    """Return the kinds of objects of the events, and how many were invalid."""
    invalid: Invalid = []
    found = decode_entry(
        {b"events": body}, decoder, lambda _body, reason: invalid.append(reason)
    )
    return [type(one).__name__ for one in found], len(invalid)


@pytest.mark.parametrize(
    ("decoder", "kind"),
    [(decode_fast, DecodedEvent.__name__), (decode_headers, EventHeader.__name__)],
)
def test_only_what_is_odd_goes_the_long_way(decoder: FastDecoder, kind: str) -> None:
    usual = [make_task_event("a"), make_task_event("b", "started")]
    assert decode(json.dumps(usual).encode(), decoder) == ([kind, kind], 0)
    mixed = [*usual, make_worker_event()]
    assert decode(json.dumps(mixed).encode(), decoder) == ([kind, kind, "dict"], 0)


def test_a_large_entry_of_small_events_goes_the_short_way() -> None:
    many = [make_task_event(f"t{n}", name="x" * 100) for n in range(1_000)]
    body = json.dumps(many).encode()
    assert len(body) > LARGE_BODY_BYTES
    kinds, invalid = decode(body)
    assert (set(kinds), len(kinds), invalid) == ({"DecodedEvent"}, 1_000, 0)


def test_long_values_of_a_large_event_are_cut() -> None:
    large = make_task_event("a", args="x" * 2 * LARGE_BODY_BYTES)
    invalid: list[tuple[bytes, str]] = []
    found = decode_entry(
        {b"events": json.dumps([large]).encode()},
        decode_fast,
        lambda body, reason: invalid.append((body, reason)),
    )
    assert not invalid
    assert isinstance(found[0], dict)
    assert len(str(found[0]["args"])) < 10_000


@pytest.mark.parametrize(
    ("body", "events", "invalid"),
    [
        (b"no JSON", 0, 1),
        (b"[]", 0, 0),
        (b"[1, 2]", 0, 2),
        (b'[{"no": "type"}]', 0, 1),
        (b'[{"type": "task-sent", "uuid": "a", "timestamp": NaN}]', 1, 0),
        (b"[" * 5_000, 0, 1),
    ],
)
def test_what_is_no_event_is_set_aside(body: bytes, events: int, invalid: int) -> None:
    kinds, refused = decode(body)
    assert (len(kinds), refused) == (events, invalid)


def test_an_entry_without_events_or_with_too_many_bytes_is_set_aside() -> None:
    said: Invalid = []
    assert decode_entry({}, decode_fast, lambda _, why: said.append(why)) == []
    huge = {b"events": b" " * (MAX_BODY_BYTES + 1)}
    assert decode_entry(huge, decode_fast, lambda _, why: said.append(why)) == []
    assert ["no field" in said[0], "bytes" in said[1]] == [True, True]


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ([b"events", b"[]"], None),
        ([b"dropped", b"0"], None),
        ([b"dropped", b"many"], None),
        ([b"dropped", b"nan"], None),
        ([b"dropped", b"3"], DroppedEvents(3, "?", None)),
        (
            [b"dropped", b"3", b"dropped_since", b"17.5", b"writer", b"w@h/7"],
            DroppedEvents(3, "w@h/7", 17.5),
        ),
        ([b"dropped", b"3", b"dropped_since", b"now"], DroppedEvents(3, "?", None)),
    ],
)
def test_what_the_writer_dropped_is_read(
    fields: list[bytes], dropped: DroppedEvents | None
) -> None:
    assert find_dropped(parse_fields(fields)) == dropped
