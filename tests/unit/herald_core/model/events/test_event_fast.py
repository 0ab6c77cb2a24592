"""The short way to hear an event leads where the long one does, or is closed."""

from base64 import b64encode

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herald_core.model.events.event import KINDS
from herald_core.model.events.event_fast import DecodedEvent, normalize
from herald_monitor.ingest.consumers.envelope import (
    decode_envelope,
    decode_fast,
    get_fast_body,
)
from tests.support.model.events import T0
from tests.support.model.worker_events import (
    FIELDS,
    HEARD,
    JSONS,
    OUTBOX,
    PLAIN,
    TRACEPARENT,
    USUAL,
    as_told,
    long_way,
    redact,
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*KINDS, "worker-heartbeat", "task-other"]),
    st.dictionaries(FIELDS, JSONS, max_size=4),
)
@example("task-started", {"timestamp": HEARD + 1})
@example("task-started", {"parent_id": "a", "requeue": True})
@example("task-received", {"priority": 0})
def test_both_ways_lead_to_the_same(kind: str, odd: dict[str, object]) -> None:
    raw = {**PLAIN, "type": kind, **odd}
    spoken = decode_fast(msgspec.json.encode([raw]))
    if spoken is None:
        return
    assert as_told(normalize(spoken[0], HEARD, redact)) == as_told(long_way(raw))


@pytest.mark.parametrize(
    "told",
    [
        {"type": "task-started", "uuid": "a", "timestamp": T0},
        {**PLAIN, "type": "task-succeeded", "result": "{'token': 'x'}"},
        {**PLAIN, "args": "({'token': 'x'},)"},
        {**PLAIN, "exception": "E(password='x')", "traceback": "secret='x'"},
    ],
)
def test_texts_are_there_or_not_and_hold_no_secrets(told: dict[str, object]) -> None:
    [spoken] = decode_fast(msgspec.json.encode(told)) or []
    event = normalize(spoken, HEARD, redact)
    assert "'x'" not in f"{event.result} {event.exception} {event.traceback}"
    assert as_told(event) == as_told(long_way(told))


@pytest.mark.parametrize(
    ("told", "tags"),
    [
        (["user:42", "a"], ("a", "user:42")),
        (["a\x1fb", "", "x" * 65, "a"], ("a",)),
        ([f"t{n:02}" for n in range(30)], tuple(f"t{n:02}" for n in range(20))),
        ([""], None),
        ([], None),
    ],
)
def test_tags_are_limited_on_both_ways(
    told: list[str], tags: tuple[str, ...] | None
) -> None:
    raw = {**PLAIN, "tags": told, "traceparent": TRACEPARENT}
    [spoken] = decode_fast(msgspec.json.encode(raw)) or []
    event = normalize(spoken, HEARD, redact)
    assert (event.tags, event.trace_id) == (tags, TRACEPARENT.split("-")[1])
    assert as_told(event) == as_told(long_way(raw))


@pytest.mark.parametrize("kind", USUAL)
def test_what_celery_usually_says_goes_the_short_way(kind: str) -> None:
    told = msgspec.json.encode({**PLAIN, **OUTBOX, "type": kind})
    assert decode_fast(told) is not None


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "task-progress"},
        {"type": "task-revoked"},
        {"type": "worker-heartbeat"},
        {"uuid": ""},
        {"uuid": 5},
        {"source": "backend"},
        {"tags": "x"},
        {"stamps": {"who": ["me"]}},
        {"trace_id": "0af7651916cd43dd8448eb211c80319c"},
        {"args": ["x"]},
        {"eta": "2026-01-01T00:00:00"},
        {"terminated": True},
    ],
)
def test_all_else_goes_the_long_way(odd: dict[str, object]) -> None:
    assert decode_fast(msgspec.json.encode([PLAIN, {**PLAIN, **odd}])) is None


def envelope(**odd: object) -> bytes:
    """Return `PLAIN` as kombu's Redis transport publishes it."""
    told: dict[str, object] = {
        "body": b64encode(msgspec.json.encode(PLAIN)).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"hostname": "w@h"},
        "properties": {"body_encoding": "base64", "delivery_mode": 1},
    }
    return msgspec.json.encode(told | odd)


def quickly_opened(published: bytes) -> list[DecodedEvent] | None:
    """Return what is in an envelope, if all is as usual."""
    body = get_fast_body(published)
    return None if body is None else decode_fast(body)


def test_a_usual_envelope_is_opened_the_short_way() -> None:
    opened = quickly_opened(envelope())
    assert opened is not None
    [raw] = decode_envelope(envelope(), {"application/json"})
    assert as_told(normalize(opened[0], HEARD, redact)) == as_told(long_way(raw))


@pytest.mark.parametrize(
    "odd",
    [
        {"body": "no base64"},
        {"body": b64encode(b"{no json").decode()},
        {"body": b64encode(b"5").decode()},
        {"content-type": "application/x-yaml"},
        {"headers": {"compression": "application/x-gzip"}},
        {"properties": {"body_encoding": None}},
        {"properties": None},
    ],
)
def test_any_other_envelope_is_opened_the_long_way(odd: dict[str, object]) -> None:
    assert quickly_opened(envelope(**odd)) is None


def test_a_large_body_is_read_the_long_way_where_it_is_cut() -> None:
    large = [{**PLAIN, "args": "x" * 8_000}] * 13
    assert decode_fast(msgspec.json.encode(large)) is None
