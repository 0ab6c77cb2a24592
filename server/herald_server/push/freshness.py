"""Decide whether the data may be outdated, why, and since when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339

MAX_LAG_S = 10.0
"""Seconds for which events may wait to be stored before responses are marked stale."""

STORE_SILENT = "the store has not answered"
NO_MONITOR = "no monitor has written to this store"
NO_BROKER = "no monitor has been connected to the broker"
BROKER_SILENT = "nothing has come through the broker"
EVENTS_LATE = "events have waited to be stored"


class Staleness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the data may be outdated.

    `since` is when it was last up to date (RFC 3339); None: never.
    """

    reason: str
    since: str | None = None

    @property
    def notice(self) -> str:
        """Message before a response."""
        if self.since is None:
            return (
                f"Unreliable: {self.reason}. Start `herald monitor` on it, or name "
                "the store of a running Herald. What follows may be wrong."
            )
        return (
            f"Outdated: {self.reason} since {self.since}. What follows is what was "
            "known then."
        )

    @property
    def warning(self) -> str:
        """Message after the response to an action."""
        since = f" since {self.since}" if self.since else ""
        return (
            f"Attention: {self.reason}{since}. Herald does not see what becomes of "
            "this until a monitor runs."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the value of the key `stale` in responses."""
        return {"reason": self.reason, **({"since": self.since} if self.since else {})}


class LogState(msgspec.Struct, frozen=True):
    """State of this process's log reader. Times are in unix seconds.

    `moved_at` is when the last entry arrived (0: none did), `problem` an error message
    while the store does not respond, `stands_still` True if entries are overdue.
    """

    moved_at: float
    problem: str
    stands_still: bool


def find_staleness(
    log: LogState, monitors: Sequence[MonitorView], now: float
) -> Staleness | None:
    """Return why responses may be outdated; None if they are not."""
    moved = to_rfc3339(log.moved_at) if log.moved_at else None
    if log.problem:
        return Staleness(STORE_SILENT, moved)
    if not monitors or (log.stands_still and moved):
        return Staleness(NO_MONITOR, moved)
    connected = [monitor for monitor in monitors if monitor.connected]
    if not connected:
        heard = [m.last_event_at for m in monitors if m.last_event_at]
        return Staleness(NO_BROKER, max(heard, default=moved))
    silent = [m.silent_since for m in connected if m.silent_since]
    if len(silent) == len(connected):
        return Staleness(BROKER_SILENT, max(silent))
    lag = min(m.lag_ms for m in connected) / 1000
    return Staleness(EVENTS_LATE, to_rfc3339(now - lag)) if lag > MAX_LAG_S else None
