"""All that a result backend keeps of one task."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_monitor.meta import KINDS, Redact, Unread, exception_text
from herald_monitor.model.traces import trace_id


class FullResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the backend keeps of one task. `size` is in bytes.

    `value` is the `repr` of the result; absent if it is too large to be shown.
    `trace_id` is that of a `traceparent` stamp, which extended results keep.
    """

    task_id: str
    status: str
    value: str | None = None
    exception: str | None = None
    traceback: str | None = None
    trace_id: str | None = None
    size: int = 0


def make_full(
    task_id: str, meta: Mapping[str, object], size: int, redact: Redact
) -> FullResult | None:
    """Return what `meta`, of `size` bytes, tells; None if nothing was stored."""
    status, result = str(meta.get("status")), meta.get("result")
    if status == "PENDING":
        return None
    failed = KINDS.get(status) in ("failed", "revoked", "retried")
    hidden = failed or isinstance(result, Unread)
    traceback = meta.get("traceback")
    return FullResult(
        task_id=task_id,
        status=status,
        value=None if hidden else redact(repr(result)),
        exception=exception_text(result, redact) if failed else None,
        traceback=redact(traceback) if isinstance(traceback, str) else None,
        trace_id=trace_id(meta.get("traceparent")),
        size=result.size if isinstance(result, Unread) else size,
    )
