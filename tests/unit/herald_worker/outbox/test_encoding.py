"""Events become entries of the stream, whatever their authors put into them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_worker.outbox.buffer import Event, OutboxBatch
from herald_worker.outbox.encoding import (
    MAX_ENTRY_EVENTS,
    encode_batch,
    encode_events,
)
from herald_worker.outbox.stream_format import choose_stream


class Hostile:
    """An object that cannot even be described."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def decode(encoded: object) -> list[Event]:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    text = cast(bytes, encoded).decode()
    return cast(list[Event], json.loads(text, parse_constant=refuse))


def test_events_are_one_array() -> None:
    events = [{"type": "task-sent", "args": "('ü',)"}, {"type": "task-started"}]
    assert decode(encode_events(events)) == events


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), "datetime.datetime(2026, 1, 2, 0, 0"),
        ({1, 2}, "{1, 2}"),
        (b"bytes", "b'bytes'"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("\ud800", "?"),
        ([float("nan")], ["nan"]),
        ({("a", 1): 2}, {"('a', 1)": 2}),
        (Hostile(), "<tests.unit.herald_worker.outbox.test_encoding.Hostile object"),
    ],
)
def test_what_json_does_not_know_is_described(value: object, told: object) -> None:
    good, bad = {"type": "a"}, {"type": "b", "value": value}
    first, second = decode(encode_events([good, bad]))
    assert first == good
    found = second["value"]
    assert found.startswith(told) if isinstance(told, str) else found == told


def test_an_event_that_contains_itself_is_written_all_the_same() -> None:
    event: Event = {"type": "a"}
    event["self"] = event
    [found] = decode(encode_events([event]))
    assert found["type"] == "a"


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.tuples(inner)
        | st.frozensets(st.integers(), max_size=3)
    ),
)


@given(st.lists(st.dictionaries(st.text(), ANYTHING, max_size=4), max_size=4))
def test_any_event_is_written(events: list[Event]) -> None:
    assert len(decode(encode_events(events))) == len(events)


def test_an_entry_holds_a_bounded_number_of_events_of_one_writer() -> None:
    events: list[Event] = [
        {"type": "a", "n": n, "hostname": "w1@host"} for n in range(450)
    ]
    entries = encode_batch(OutboxBatch(events, 3, 12.5), 77, 1)
    assert [entry.events for entry in entries] == [
        MAX_ENTRY_EVENTS,
        MAX_ENTRY_EVENTS,
        50,
    ]
    found = [event for entry in entries for event in decode(entry.fields["events"])]
    assert found == events
    assert {entry.fields["writer"] for entry in entries} == {"w1@host/77"}
    assert [entry.fields.get("dropped") for entry in entries] == [3, None, None]
    assert entries[0].fields["dropped_since"] == "12.5"


def test_the_task_decides_the_stream_and_workers_are_in_the_first() -> None:
    events: list[Event] = [{"type": "worker-online"}]
    events += [{"type": "task-sent", "uuid": f"task-{n}"} for n in range(30)]
    entries = encode_batch(OutboxBatch(events), 1, 3)
    assert {entry.stream for entry in entries} == {0, 1, 2}
    for entry in entries:
        for event in decode(entry.fields["events"]):
            assert entry.stream == choose_stream(event.get("uuid"), 3)
