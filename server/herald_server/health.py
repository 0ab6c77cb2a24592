"""Whether what this process shows can be trusted."""

from __future__ import annotations

from typing import Any

from herald_monitor.errors import StoreError
from herald_monitor.store import Gap, MonitorImage
from herald_server.state import Shared
from herald_server.status import shown


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
            return "no monitor is connected to the broker"
        return "the change log stands still" if feed.stale else ""

    async def report(self) -> dict[str, Any]:
        """Return the body of `/api/v1/health`."""
        feed, store = self._shared.feed, self._shared.store
        monitors: list[MonitorImage] = []
        gaps: list[Gap] = []
        try:
            problem = await self.unready()
            monitors = await store.monitors()
            gaps = await store.gaps()
        except StoreError as error:
            problem = str(error)
        heard = [m.last_event_at for m in monitors if m.last_event_at]
        lags = [m.lag_ms for m in monitors if m.connected]
        open_gaps = any(gap.state == "open" for gap in gaps)
        body: dict[str, Any] = {
            "status": "down" if problem else "degraded" if open_gaps else "ok",
            "problem": problem or None,
            "node": self._shared.node,
            "cursor": str(self._shared.hub.pos),
            "watchers": self._shared.hub.watchers(),
            "resets": feed.resets,
            "event_lag_ms": min(lags) if lags else None,
            "last_event_at": max(heard) if heard else None,
            "store": {"reachable": not feed.problem},
            "monitors": monitors,
            "gaps": [shown(gap) for gap in gaps],
        }
        return {k: v for k, v in body.items() if v is not None}
