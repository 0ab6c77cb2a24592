"""A monitor, as it is stored and shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_core.model.tasks.views import from_rfc3339


class OutboxView(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The outbox as a monitor reads it: entries of all its streams together.

    `exists` once a stream was found. `unread` entries were read by no monitor (None if
    Redis cannot count them), `pending` ones were read and are not yet stored, by any
    monitor. `lag_ms` is the age of the oldest of both, if it is over a second.
    """

    connected: bool = False
    exists: bool = False
    streams: int = 1
    unread: int | None = 0
    pending: int = 0
    lag_ms: int = 0


class MonitorView(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A running monitor and its health. Lags are in milliseconds.

    `writers` counts its writer processes. `reconciling` marks the one monitor that
    checks unfinished tasks; `reconciled_at` is its last check, and `trouble` names what
    did not answer. `durable`: the broker stores events while the monitor is away.
    `samples` are the latest quarantined events, shortened and redacted. `behind_since`:
    events after that time may still be unread or not stored. `silent_since`: the last
    message of the broker, if the monitor's own probes do not come back since.
    `connected_since`: the monitor missed nothing since then; `stored_until`: what
    arrived before then is in the store. `outbox` is there if the monitor looks for one.
    """

    id: str
    started_at: str
    seen_at: str
    connected: bool = False
    broker: str = ""
    last_event_at: str | None = None
    lag_ms: int = 0
    waiting: int = 0
    behind_since: str | None = None
    silent_since: str | None = None
    connected_since: str | None = None
    stored_until: str | None = None
    writers: int = 0
    reconciling: bool = False
    reconciled_at: str | None = None
    trouble: str = ""
    durable: bool = False
    outbox: OutboxView | None = None
    samples: tuple[str, ...] = ()
    counters: dict[str, int] = {}


def is_covering(other: MonitorView, at: float) -> bool:
    """Return True if `other` stored all events that were sent before `at` (unix s).

    Another monitor that began to receive at `at` has missed none of them then. What a
    monitor that dies had received and not stored is lost.
    """
    if not other.connected or other.connected_since is None:
        return False
    stored = from_rfc3339(other.stored_until) if other.stored_until else 0.0
    return from_rfc3339(other.connected_since) < at <= stored


def find_proven_until(monitors: Sequence[MonitorView], now: float) -> float:
    """Return the time up to which a worker's silence is proven (unix seconds).

    Later events may still be unread by one of the `monitors`.
    """
    behind = [one.behind_since for one in monitors if one.connected]
    since = [from_rfc3339(at) for at in behind if at is not None]
    return min(max(since), now) if since and len(since) == len(behind) else now
