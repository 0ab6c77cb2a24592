"""Events as workers send them, and the slow way to read them."""

from hypothesis import strategies as st

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import Event, parse_event
from herald_core.model.events.redaction import Redactor
from tests.support.model.events import T0

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


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The example of W3C Trace Context."""


OUTBOX: dict[str, object] = {
    "queue": "mail",
    "exchange": "",
    "routing_key": "mail",
    "priority": 3,
    "group_id": "g",
    "group_index": 2,
    "chord_id": "c",
    "traceparent": TRACEPARENT,
    "tags": ["user:42"],
}
"""What the outbox adds to events of tasks."""


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
        *(["user:42", "a"], ["b", "a", "b"], ["", "a\x1fb"], ["x" * 65], ["a", 5]),
        *([f"t{n}" for n in range(30)], {"who": ["me", 5]}, {"token": "abc"}),
        TRACEPARENT,
    ]
)


FIELDS = st.sampled_from(
    [
        *PLAIN,
        *("result", "exception", "traceback", "runtime", "requeue", "terminated"),
        *("queue", "routing_key", "exchange", "source", "tags", "group_id", "flag"),
        *(
            "group_index",
            "chord_id",
            "stamps",
            "traceparent",
            "trace_id",
            "parent_span_id",
        ),
        *(
            "priority",
            "progress",
            "arrived_at",
            "worker_time",
            "kind",
            "task_id",
            "host",
            "at",
        ),
        *("percent", "current", "message"),
    ]
)


def long_way(raw: dict[str, object]) -> Event | None:
    try:
        return parse_event(raw, HEARD, redact)
    except InvalidEvent:
        return None


def as_told(event: Event | None) -> dict[str, object]:
    assert event is not None
    return {name: getattr(event, name) for name in Event.__struct_fields__}
