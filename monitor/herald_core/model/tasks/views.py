"""The one JSON shape of a task for all clients, and the format of times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from herald_core.model.events.event import MAX_UNIX_S, Progress

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
RETRY = "RETRY"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
IGNORED = "IGNORED"
LOST = "LOST"
UNKNOWN = "UNKNOWN"
EXPIRED = "EXPIRED"

STATES = (
    PENDING,
    RECEIVED,
    STARTED,
    RETRY,
    SUCCESS,
    FAILURE,
    REVOKED,
    REJECTED,
    IGNORED,
    LOST,
)
"""Every state that a stored task can be in. `UNKNOWN` and `EXPIRED` are answers
about ids of which nothing is stored."""

FINAL_STATES = frozenset([SUCCESS, FAILURE, REVOKED, REJECTED, IGNORED])
"""States that only another delivery ends. `LOST` is not one of them: any event of the
task ends it."""


class TaskView(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A task as it is shown: over HTTP, WebSocket and MCP, in the log, in filters.

    Times are RFC 3339 in UTC with milliseconds, `runtime` is in seconds,
    `attempt` counts from 1, `rev` is the change that made it so. `reason` is why
    Herald concluded the state, where nobody said it (`LOST`, `IGNORED`); of what is
    `STARTED`, that it has ended and nobody tells how; of what waited, that it waits no
    more and nobody tells whether it ran.
    `custom_state` is the state that the task gave itself by `update_state`.
    `group_index` is its place in its group, from 0, and `chord_id` the task that takes
    the results of the group. `stamps` are Celery's; `trace_id` and `parent_span_id`,
    the span that sent the task, are OpenTelemetry's.
    `failure` is the fingerprint of the cause of a `FAILURE`, see `failures.cause`.
    """

    id: str
    name: str | None = None
    state: str = ""
    attempt: int | None = None
    retries: int | None = None
    args: str | None = None
    kwargs: str | None = None
    queue: str | None = None
    routing_key: str | None = None
    worker: str | None = None
    pid: int | None = None
    priority: int | None = None
    eta: str | None = None
    expires: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    tags: tuple[str, ...] | None = None
    progress: Progress | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    runtime: float | None = None
    submitted_at: str | None = None
    received_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    updated_at: str | None = None
    source: str | None = None
    as_of: str | None = None
    reason: str | None = None
    conflict: bool = False
    final: bool = False
    group_index: int | None = None
    chord_id: str | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None
    stamps: dict[str, tuple[str, ...]] | None = None
    failure: str | None = None
    rev: str | None = None
    custom_state: str | None = None

    @property
    def has_unknown_outcome(self) -> bool:
        """True if the task ended while Herald received no events, with unknown outcome.

        A task that is PENDING again after a delivery, with a reason, will be
        redelivered.
        """
        if self.reason is None:
            return False
        return self.state in (STARTED, RECEIVED, RETRY) or (
            self.state == PENDING and self.worker is None
        )


class AttemptView(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False
):
    """One run of a task, as it is shown beside the task."""

    attempt: int
    state: str
    retries: int | None = None
    worker: str | None = None
    pid: int | None = None
    received_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    runtime: float | None = None
    exception: str | None = None
    traceback: str | None = None


def to_rfc3339(at: float) -> str:
    """Return `at` (unix seconds) as RFC 3339 in UTC with milliseconds.

    Times outside of the years 1970 to 9999 are limited to these years.
    """
    if not 0.0 <= at <= MAX_UNIX_S:
        at = min(max(at, 0.0), MAX_UNIX_S)
    # Rounded first: cutting would make 0.999 of 0.9996 s.
    return _format_ms(round(at * 1000))


@lru_cache(maxsize=8192)
def _format_ms(ms: int) -> str:
    # Under load dozens of events share a millisecond, and each is formatted again.
    return f"{_parse_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _parse_second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()[:19]


def from_rfc3339(text: str) -> float:
    """Return the unix seconds of an RFC 3339 time; the inverse of `to_rfc3339`."""
    return datetime.fromisoformat(text).timestamp()


def to_dict(image: object) -> dict[str, Any]:
    """Return any of the shapes as plain JSON values, absent fields left out."""
    shown: dict[str, Any] = msgspec.to_builtins(image)
    return shown
