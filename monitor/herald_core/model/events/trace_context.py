"""OpenTelemetry's trace ids in W3C's `traceparent`. Pure.

Source: W3C Trace Context, §3.2 (`version-traceid-parentid-flags`).
"""

from __future__ import annotations

import re

TRACE_TAG = "trace_id:"
"""Before the trace id in a task's tags."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def parse_trace_id(traceparent: object) -> str | None:
    """Return the trace id that `traceparent` names; None if it makes no sense."""
    ids = parse_traceparent(traceparent)
    return ids[0] if ids else None


def parse_traceparent(traceparent: object) -> tuple[str, str] | None:
    """Return the ids of the trace and of the sender's span, if they make sense."""
    if not isinstance(traceparent, str):
        return None
    found = _PARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace, parent, more = found.groups()
    # Later versions may add fields; this one has none.
    wrong = version == "ff" or (version == "00" and more)
    return (
        None if wrong or not int(trace, 16) or not int(parent, 16) else (trace, parent)
    )
