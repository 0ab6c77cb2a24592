"""The complete stored result of one task."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import MAX_NAME
from herald_core.model.events.trace_context import parse_trace_id
from herald_core.system.large_json import LargeJson
from herald_monitor.celery_client.backend.task_meta import (
    KINDS,
    OversizedValue,
    Redact,
    format_exception,
)


class StoredResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The complete stored result of one task. `size` is in bytes.

    `decode` is the `repr` of the result; absent if it is too large to be shown.
    `parse_trace_id` is that of a `traceparent` stamp, which extended results hold.
    """

    task_id: str
    status: str
    value: str | None = None
    exception: str | None = None
    traceback: str | None = None
    trace_id: str | None = None
    size: int = 0


def make_oversized_meta(size: int) -> Mapping[str, object]:
    """Return the meta of a task whose result of `size` bytes is too large to read."""
    return {"status": "", "result": OversizedValue(size)}


def make_stored_result(
    task_id: str, meta: Mapping[str, object], size: int | None, redact: Redact
) -> StoredResult | None:
    """Return the result in `meta`, of `size` bytes; None if nothing was stored.

    With `size` None it is that of the result as shown. Raises `InvalidEvent`.
    """
    status, result = meta.get("status"), meta.get("result")
    if not isinstance(status, str) or len(status) > MAX_NAME:
        raise InvalidEvent("a result must have a status, and this has none")
    if status == "PENDING":
        return None
    failed = KINDS.get(status) in ("failed", "revoked", "retried")
    if failed and isinstance(result, LargeJson):
        result = result.decode()
    shown = None if failed or isinstance(result, OversizedValue) else repr(result)
    if size is None:
        size = len(shown or "")
    traceback = meta.get("traceback")
    return StoredResult(
        task_id=task_id,
        status=status,
        value=None if shown is None else redact(shown),
        exception=format_exception(result, redact) if failed else None,
        traceback=redact(traceback) if isinstance(traceback, str) else None,
        trace_id=parse_trace_id(meta.get("traceparent")),
        size=result.size if isinstance(result, OversizedValue) else size,
    )
