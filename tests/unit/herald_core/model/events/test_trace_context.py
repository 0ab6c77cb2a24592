"""Trace ids in `traceparent`."""

import pytest

from herald_core.model.events.trace_context import parse_trace_id, parse_traceparent

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "text", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-x"]
)
def test_the_trace_and_the_span_are_read(text: str) -> None:
    assert parse_traceparent(text) == (TRACE, PARENT)
    assert parse_trace_id(text) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        TRACE,
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-x",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_what_makes_no_sense_is_none(text: object) -> None:
    assert parse_traceparent(text) is None
    assert parse_trace_id(text) is None
