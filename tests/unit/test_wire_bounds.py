"""A message costs a monitor little, however large it is and whatever it holds."""

import base64
import json
import tracemalloc
from typing import Any, cast

import pytest

from herald_monitor.errors import BadEvent
from herald_monitor.wire import (
    JSON,
    MAX_BYTES,
    MAX_FAULTS,
    inside,
    read_body,
    sort_out,
    unwrap,
    usual_body,
)

EVENT = {"type": "task-sent", "uuid": "a"}


def published(body: bytes) -> bytes:
    """Return what kombu publishes of a body."""
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": JSON,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {"body_encoding": "base64"},
    }
    return json.dumps(envelope).encode()


def test_a_message_that_is_too_large_is_not_decoded() -> None:
    large = published(json.dumps({**EVENT, "args": "x" * MAX_BYTES}).encode())
    tracemalloc.start()
    try:
        assert usual_body(large) is None
        with pytest.raises(BadEvent, match="are not read"):
            unwrap(large, (JSON,))
        assert inside(large) == f"({len(large)} bytes)".encode()
        with pytest.raises(BadEvent, match="are not read"):
            read_body(b" " * (MAX_BYTES + 1), JSON, "utf-8", {}, (JSON,))
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BYTES
    finally:
        tracemalloc.stop()


def test_a_long_text_of_an_ordinary_task_is_read() -> None:
    body = json.dumps({**EVENT, "exception": "x" * 1_000_000}).encode()
    assert len(unwrap(published(body), (JSON,))) == 1


def test_of_very_many_that_are_no_events_few_are_told_apart() -> None:
    told: list[tuple[bytes, str]] = []
    found = cast(Any, [{}, EVENT, *[{}] * 100_000, EVENT, 5])
    assert sort_out(found, lambda body, why: told.append((body, why))) == [EVENT] * 2
    assert len(told) == MAX_FAULTS + 1
    assert told[-1][1] == (
        f"{100_002 - MAX_FAULTS} more in the same message are no events."
    )
