"""Whether what this process shows can be trusted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from herald_monitor.errors import StoreError
from herald_monitor.model.shape import unix
from herald_monitor.store import Gap, Memory, MonitorImage
from herald_server import caller
from herald_server.seen import whole
from herald_server.state import Shared
from herald_server.status import shown

HOUR = 3_600.0

REPAIRS = ("repaired", "found", "lost", "gaps_closed")
"""What a reconciler counts of its repairs."""


class Health:
    """Asks the store and the feed how they fare."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def unready(self) -> str:
        """Return why this process should not be asked, or an empty text."""
        feed = self._shared.feed
        if feed.problem:
            return feed.problem
        monitors = await self._shared.store.monitors()
        if not monitors:
            return "no monitor has spoken for 10 s; start one with `herald monitor`"
        if not any(m.connected for m in monitors):
            why = next((f": {m.trouble}" for m in monitors if m.trouble), "")
            return f"no monitor is connected to the broker{why}"
        return "the change log stands still" if feed.stale else ""

    async def report(self) -> dict[str, Any]:
        """Return the body of `/api/v1/health`."""
        shared, store = self._shared, self._shared.store
        monitors: list[MonitorImage] = []
        gaps: list[Gap] = []
        memory: list[Memory] = []
        try:
            problem = await self.unready()
            monitors = await store.monitors()
            gaps = await store.gaps()
            memory = await whole(store).memory()
        except StoreError as error:
            problem = str(error)
        open_gaps = any(gap.state == "open" for gap in gaps)
        body: dict[str, Any] = {
            "status": "down" if problem else "degraded" if open_gaps else "ok",
            "problem": problem or None,
            "node": shared.node,
            "cursor": str(shared.hub.pos),
            **self._told(),
            **lags(monitors),
            "store": {"reachable": not shared.feed.problem, **self._about(memory)},
            "backend": self._backend(),
            "repairs": repairs(monitors),
            "gaps_last_hour": lately(gaps, time.time()),
            "monitors": monitors,
            "gaps": [shown(gap) for gap in gaps],
        }
        return {k: v for k, v in body.items() if v is not None}

    def _told(self) -> dict[str, Any]:
        """Return how this process tells: to how many, how fast, and what went wrong."""
        tally = self._shared.tally
        return {
            "connections": tally.connections,
            "watchers": self._shared.hub.watchers(),
            "resets": self._shared.feed.resets,
            "resets_by_reason": dict(tally.resets),
            "push": tally.pushes.lately(time.monotonic()),
        }

    def _about(self, memory: Sequence[Memory]) -> dict[str, Any]:
        # What runs where is not for who sees a few tasks only.
        return {"servers": memory} if memory and caller.only() is None else {}

    def _backend(self) -> dict[str, object] | None:
        backend = self._shared.backend
        return backend.describe() if backend and caller.only() is None else None


def lags(monitors: Sequence[MonitorImage]) -> dict[str, Any]:
    """Return how late events are stored, by the best monitor. Pure."""
    heard = [m.last_event_at for m in monitors if m.last_event_at]
    late = [m.lag_ms for m in monitors if m.connected]
    return {
        "event_lag_ms": min(late) if late else None,
        "last_event_at": max(heard) if heard else None,
    }


def repairs(monitors: Sequence[MonitorImage]) -> dict[str, int]:
    """Return what the living monitors put right since they started. Pure."""
    return {
        word: sum(one.counters.get(f"reconciler_{word}", 0) for one in monitors)
        for word in REPAIRS
    }


def lately(gaps: Sequence[Gap], now: float) -> dict[str, int]:
    """Return the gaps of the last hour, and open ones, as numbers. Pure."""
    late = [g for g in gaps if g.state == "open" or unix(g.until) >= now - HOUR]
    return {
        "count": len(late),
        "open": sum(gap.state == "open" for gap in late),
        "missing": sum(gap.missing for gap in late),
        "repaired": sum(gap.repaired for gap in late),
    }
