"""A message costs a monitor little, however large it is and whatever it holds."""

import base64
import json
import tracemalloc
from typing import Any, cast

import pytest

from herald_core.errors import InvalidEvent
from herald_monitor.ingest.consumers.envelope import (
    JSON_TYPE,
    MAX_BODY_BYTES,
    MAX_FAULTS,
    decode_envelope,
    decode_message_body,
    drop_invalid,
    get_fast_body,
    sample_envelope,
)

EVENT = {"type": "task-sent", "uuid": "a"}


def published(body: bytes) -> bytes:
    """Return what kombu publishes of a body."""
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": JSON_TYPE,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {"body_encoding": "base64"},
    }
    return json.dumps(envelope).encode()


def test_a_message_that_is_too_large_is_not_decoded() -> None:
    large = published(json.dumps({**EVENT, "args": "x" * MAX_BODY_BYTES}).encode())
    tracemalloc.start()
    try:
        assert get_fast_body(large) is None
        with pytest.raises(InvalidEvent, match="are not read"):
            decode_envelope(large, (JSON_TYPE,))
        assert sample_envelope(large) == f"({len(large)} bytes)".encode()
        with pytest.raises(InvalidEvent, match="are not read"):
            decode_message_body(
                b" " * (MAX_BODY_BYTES + 1), JSON_TYPE, "utf-8", {}, (JSON_TYPE,)
            )
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BODY_BYTES
    finally:
        tracemalloc.stop()


def test_a_long_text_of_an_ordinary_task_is_read() -> None:
    body = json.dumps({**EVENT, "exception": "x" * 1_000_000}).encode()
    assert len(decode_envelope(published(body), (JSON_TYPE,))) == 1


def test_of_very_many_that_are_no_events_few_are_told_apart() -> None:
    told: list[tuple[bytes, str]] = []
    found = cast(Any, [{}, EVENT, *[{}] * 100_000, EVENT, 5])
    assert (
        drop_invalid(found, lambda body, why: told.append((body, why))) == [EVENT] * 2
    )
    assert len(told) == MAX_FAULTS + 1
    assert told[-1][1] == (
        f"{100_002 - MAX_FAULTS} more in the same message are no events."
    )
