"""What is passed on unread is read elsewhere as it would have been read here."""

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import KINDS
from herald_monitor.ingest.buffer import Batch, ReceivedEvents
from herald_monitor.ingest.consumers.event_header import (
    EventHeader,
    decode_array,
    decode_full,
    decode_headers,
    join_json,
    stamp_header,
)
from herald_monitor.ingest.parser import EventParser
from tests.support.model.worker_events import (
    FIELDS,
    HEARD,
    JSONS,
    PLAIN,
    USUAL,
    as_told,
    long_way,
    redact,
)


def passed_on(body: bytes) -> list[EventHeader]:
    """Return the events of a body as they are passed on."""
    return [stamp_header(event, HEARD) for event in decode_headers(body) or []]


def broken(args: bytes) -> bytes:
    """Return an event whose args are no JSON that anybody reads."""
    return msgspec.json.encode({**PLAIN, "args": "ARGS"}).replace(b"ARGS", args)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*KINDS, "worker-heartbeat", "task-other"]),
    st.dictionaries(FIELDS, JSONS, max_size=4),
)
@example("task-started", {"timestamp": HEARD + 1, "eta": "2026-01-01T00:00:00"})
@example("task-received", {"args": ["a", "b"]})
def test_read_there_it_tells_the_same(kind: str, odd: dict[str, object]) -> None:
    raw = {**PLAIN, "type": kind, **odd}
    told = passed_on(msgspec.json.encode([PLAIN, raw]))
    if not told:
        return
    first, other = decode_array(join_json([one.json for one in told]), HEARD, redact)
    assert as_told(first) == as_told(long_way(PLAIN))
    assert as_told(other) == as_told(long_way(raw))
    assert as_told(decode_full(told[1], redact)) == as_told(long_way(raw))


@pytest.mark.parametrize("kind", USUAL)
def test_it_is_known_whose_it_is_and_when_it_was_said(kind: str) -> None:
    # A success without both is none: a greenlet that was killed tells it so.
    raw = {**PLAIN, "type": kind, "runtime": 0.1, "result": "1"}
    [told] = passed_on(msgspec.json.encode({**raw, "priority": 3}))
    event = long_way(raw)
    assert event is not None
    for field in ("kind", "task_id", "host", "pid", "clock", "source", "arrived_at"):
        assert getattr(told, field) == getattr(event, field)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "task-progress"},
        {"type": "task-revoked"},
        {"type": "worker-heartbeat"},
        {"uuid": ""},
        {"uuid": 5},
        {"clock": -1},
        {"hostname": ["w"]},
        {"arrived_at": 5.0},
        {"json": "{}"},
    ],
)
def test_what_is_not_as_usual_is_read_here(odd: dict[str, object]) -> None:
    assert decode_headers(msgspec.json.encode([PLAIN, {**PLAIN, **odd}])) is None


def test_a_large_body_is_read_here_where_it_is_cut() -> None:
    large = [{**PLAIN, "args": "x" * 8_000}] * 13
    assert decode_headers(msgspec.json.encode(large)) is None


def test_one_that_is_not_as_usual_there_leaves_the_others_as_they_are() -> None:
    told = [PLAIN, {**PLAIN, "eta": "2026-01-01T00:00:00"}, {**PLAIN, "clock": 4}]
    parts = [one.json for one in passed_on(msgspec.json.encode(told))]
    read = decode_array(join_json(parts), HEARD, redact)
    assert [as_told(one) for one in read] == [as_told(long_way(raw)) for raw in told]


def test_a_body_may_be_text() -> None:
    text = msgspec.json.encode({**PLAIN, "args": "ä"}).decode()
    [told] = [stamp_header(one, HEARD) for one in decode_headers(text) or []]
    assert decode_full(told, redact).args == "ä"


@pytest.mark.parametrize("args", [b"\xff\xfe", b'"'])
def test_what_cannot_be_read_there_is_told(args: bytes) -> None:
    told = passed_on(broken(b"x"))
    told[0].json = broken(args)
    array = join_json([one.json for one in told])
    with pytest.raises((InvalidEvent, msgspec.DecodeError)):
        decode_array(array, HEARD, redact)


def test_what_cannot_be_read_at_last_is_set_aside_once() -> None:
    """However often it is tried to store it."""
    [bad, good] = passed_on(b"[%b,%b]" % (broken(b"\xff"), broken(b"x")))
    interpreter = EventParser(redact)
    for _ in range(3):
        [event] = interpreter.decode_all([bad, good])
        assert event.args == "x"
    assert interpreter.counters.poison == 1


def test_it_is_heard_and_counted_like_any_other() -> None:
    heard: list[object] = []

    class Listening:
        def on_task_event(self, event: object) -> None:
            heard.append(event)

        def on_worker_event(self, worker: object, heard: float) -> None:
            raise AssertionError(worker)

    told = decode_headers(msgspec.json.encode([{**PLAIN, "type": "task-started"}] * 2))
    interpreter = EventParser(redact)
    interpreter.listener = Listening()
    read = interpreter.parse(Batch([ReceivedEvents(told or [], HEARD)], []))
    assert read.events == heard
    assert [event.kind for event in read.events] == ["started"] * 2
    counters = interpreter.counters
    assert (counters.events, counters.task_events) == (2, 2)
    assert counters.last_event_at == HEARD
