"""Whether what is shown may be outdated, why, and since when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from herald_monitor.model.shape import rfc3339
from herald_monitor.store import MonitorImage

MAX_LAG_S = 10.0
"""Seconds for which events may wait to be stored before answers say so."""

STORE_AWAY = "the store has not answered"
NO_MONITOR = "no monitor has written to this store"
NO_BROKER = "no monitor has been connected to the broker"
LATE = "events have waited to be stored"


class Staleness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why what is shown may be outdated.

    `since` is until when Herald was up to date (RFC 3339); None: it never was.
    """

    reason: str
    since: str | None = None

    @property
    def sentence(self) -> str:
        """The sentence that goes before an answer."""
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
        """The sentence that goes behind the answer to an order."""
        since = f" since {self.since}" if self.since else ""
        return (
            f"Attention: {self.reason}{since}. Herald does not see what becomes of "
            "this until a monitor runs."
        )

    def shown(self) -> dict[str, Any]:
        """Return what answers hold under the key `stale`."""
        return {"reason": self.reason, **({"since": self.since} if self.since else {})}


class LogState(msgspec.Struct, frozen=True):
    """How this process follows the change log. Times are in unix seconds.

    `moved_at` is when the last entry came (0: none did), `problem` a sentence while
    the store does not answer, `stands_still` whether entries are overdue.
    """

    moved_at: float
    problem: str
    stands_still: bool


def find_staleness(
    log: LogState, monitors: Sequence[MonitorImage], now: float
) -> Staleness | None:
    """Return why answers may be outdated; None while they are not."""
    moved = rfc3339(log.moved_at) if log.moved_at else None
    if log.problem:
        return Staleness(STORE_AWAY, moved)
    if not monitors or (log.stands_still and moved):
        return Staleness(NO_MONITOR, moved)
    if not any(monitor.connected for monitor in monitors):
        heard = [m.last_event_at for m in monitors if m.last_event_at]
        return Staleness(NO_BROKER, max(heard, default=moved))
    lag = min(m.lag_ms for m in monitors if m.connected) / 1000
    return Staleness(LATE, rfc3339(now - lag)) if lag > MAX_LAG_S else None
