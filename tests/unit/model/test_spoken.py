"""The short way to hear an event leads where the long one does, or is closed."""

from base64 import b64encode

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from herald_monitor.errors import BadEvent
from herald_monitor.model.events import KINDS, Event, parse
from herald_monitor.model.redaction import Redactor
from herald_monitor.model.spoken import Spoken, settle
from herald_monitor.wire import quickly_read, unwrap, usual_body
from tests.unit.model.words import T0

HEARD = T0 + 5.0
redact = Redactor()

PLAIN: dict[str, object] = {
    "type": "task-received",
    "uuid": "a",
    "hostname": "w@h",
    "pid": 7,
    "clock": 3,
    "timestamp": T0,
    "utcoffset": 0,
    "name": "shop.pay",
    "args": "('x',)",
    "kwargs": "{'password': 'p'}",
    "root_id": "a",
    "parent_id": None,
    "retries": 0,
    "eta": None,
    "expires": None,
}

USUAL = (
    *("task-sent", "task-received", "task-started"),
    *("task-succeeded", "task-failed", "task-retried"),
)
"""The kinds that nine events of ten are of."""

JSONS = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 1.0, 0.5, 1 << 31, 1 << 63, 1 << 70, 1e300),
        *("", "a", "ä", "x" * 256, "y" * 513, "z" * 8_193, "t" * 16_385),
        *("event", "backend", "token=abc", "1", [1], {}, [], {"percent": 5}),
        *(HEARD, HEARD + 1, -5.0, "2026-01-01T00:00:00"),
    ]
)
FIELDS = st.sampled_from(
    [
        *PLAIN,
        *("result", "exception", "traceback", "runtime", "requeue", "terminated"),
        *("queue", "routing_key", "exchange", "source", "tags", "group_id", "flag"),
        *("priority", "progress", "heard", "said", "kind", "task_id", "host", "at"),
        *("percent", "current", "message"),
    ]
)


def long_way(raw: dict[str, object]) -> Event | None:
    try:
        return parse(raw, HEARD, redact)
    except BadEvent:
        return None


def as_told(event: Event | None) -> dict[str, object]:
    assert event is not None
    return {name: getattr(event, name) for name in Event.__struct_fields__}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*KINDS, "worker-heartbeat", "task-other"]),
    st.dictionaries(FIELDS, JSONS, max_size=4),
)
@example("task-started", {"timestamp": HEARD + 1})
@example("task-started", {"parent_id": "a", "requeue": True})
def test_both_ways_lead_to_the_same(kind: str, odd: dict[str, object]) -> None:
    raw = {**PLAIN, "type": kind, **odd}
    spoken = quickly_read(msgspec.json.encode([raw]))
    if spoken is None:
        return
    assert as_told(settle(spoken[0], HEARD, redact)) == as_told(long_way(raw))


@pytest.mark.parametrize(
    "told",
    [
        {"type": "task-started", "uuid": "a", "timestamp": T0},
        {**PLAIN, "type": "task-succeeded", "result": "{'token': 'x'}"},
        {**PLAIN, "exception": "E(password='x')", "traceback": "secret='x'"},
    ],
)
def test_texts_are_there_or_not_and_hold_no_secrets(told: dict[str, object]) -> None:
    [spoken] = quickly_read(msgspec.json.encode(told)) or []
    event = settle(spoken, HEARD, redact)
    assert "'x'" not in f"{event.result} {event.exception} {event.traceback}"
    assert as_told(event) == as_told(long_way(told))


@pytest.mark.parametrize("kind", USUAL)
def test_what_celery_usually_says_goes_the_short_way(kind: str) -> None:
    told = msgspec.json.encode({**PLAIN, "type": kind})
    assert quickly_read(told) is not None


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "task-progress"},
        {"type": "task-revoked"},
        {"type": "worker-heartbeat"},
        {"uuid": ""},
        {"uuid": 5},
        {"source": "backend"},
        {"tags": ["x"]},
        {"args": ["x"]},
        {"eta": "2026-01-01T00:00:00"},
        {"terminated": True},
    ],
)
def test_all_else_goes_the_long_way(odd: dict[str, object]) -> None:
    assert quickly_read(msgspec.json.encode([PLAIN, {**PLAIN, **odd}])) is None


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


def quickly_opened(published: bytes) -> list[Spoken] | None:
    """Return what is in an envelope, if all is as usual."""
    body = usual_body(published)
    return None if body is None else quickly_read(body)


def test_a_usual_envelope_is_opened_the_short_way() -> None:
    opened = quickly_opened(envelope())
    assert opened is not None
    [raw] = unwrap(envelope(), {"application/json"})
    assert as_told(settle(opened[0], HEARD, redact)) == as_told(long_way(raw))


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
    assert quickly_read(msgspec.json.encode(large)) is None
