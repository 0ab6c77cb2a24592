"""All that a result backend keeps of one task."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_monitor.errors import BadEvent
from herald_monitor.large_json import LargeJson
from herald_monitor.meta import KINDS, Redact, Unread, exception_text
from herald_monitor.model.events import MAX_NAME
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


def too_large(size: int) -> Mapping[str, object]:
    """Return the meta of a task of which `size` bytes are kept, too many to be read."""
    return {"status": "", "result": Unread(size)}


def make_full(
    task_id: str, meta: Mapping[str, object], size: int | None, redact: Redact
) -> FullResult | None:
    """Return what `meta`, of `size` bytes, tells; None if nothing was stored.

    `size` None is that of the result as it is shown. Raises `BadEvent`.
    """
    status, result = meta.get("status"), meta.get("result")
    if not isinstance(status, str) or len(status) > MAX_NAME:
        raise BadEvent("a result must have a status, and this has none")
    if status == "PENDING":
        return None
    failed = KINDS.get(status) in ("failed", "revoked", "retried")
    if failed and isinstance(result, LargeJson):
        result = result.value()
    shown = None if failed or isinstance(result, Unread) else repr(result)
    if size is None:
        size = len(shown or "")
    traceback = meta.get("traceback")
    return FullResult(
        task_id=task_id,
        status=status,
        value=None if shown is None else redact(shown),
        exception=exception_text(result, redact) if failed else None,
        traceback=redact(traceback) if isinstance(traceback, str) else None,
        trace_id=trace_id(meta.get("traceparent")),
        size=result.size if isinstance(result, Unread) else size,
    )
