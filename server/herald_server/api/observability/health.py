"""Health of this process and its data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from herald_core.errors import StoreError
from herald_core.model.gaps import UNREPAIRABLE, Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.types import ServerMemory
from herald_server.api.context import ServerContext
from herald_server.auth import request_context
from herald_server.auth.scoped_store import get_unscoped
from herald_server.insight.schedules.reader import count_states
from herald_server.push.status import to_gap_view

HOUR_S = 3_600.0

REPAIR_COUNTERS = ("repaired", "found", "lost", "gaps_closed", "gaps_unrepairable")
"""What a reconciler counts of its repairs."""


class HealthReporter:
    """Builds health reports from the store and the log reader."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    async def find_problem(self) -> str:
        """Return why this process is not ready; empty if it is."""
        feed = self._shared.log_reader
        if feed.problem:
            return feed.problem
        monitors = await self._shared.store.list_monitors()
        if not monitors:
            return "no monitor has spoken for 10 s; start one with `herald monitor`"
        if not any(m.connected for m in monitors):
            why = next((f": {m.trouble}" for m in monitors if m.trouble), "")
            return f"no monitor is connected to the broker{why}"
        return "the change log stands still" if feed.is_stale else ""

    async def make_report(self) -> dict[str, Any]:
        """Return the body of `/api/v1/health`."""
        shared, store = self._shared, self._shared.store
        monitors: list[MonitorView] = []
        gaps: list[Gap] = []
        memory: list[ServerMemory] = []
        schedules: dict[str, int] | None = None
        try:
            problem = await self.find_problem()
            monitors = await store.list_monitors()
            gaps = await store.list_gaps()
            memory = await get_unscoped(store).read_server_memory()
            schedules = await self._count_schedules()
        except StoreError as error:
            problem = str(error)
        open_gaps = any(gap.state == "open" for gap in gaps)
        body: dict[str, Any] = {
            "status": "down" if problem else "degraded" if open_gaps else "ok",
            "problem": problem or None,
            "node": shared.node,
            "cursor": str(shared.hub.pos),
            **self._describe_push(),
            **find_lags(monitors),
            "store": {
                "reachable": not shared.log_reader.problem,
                **self._describe_memory(memory),
            },
            "backend": self._describe_backend(),
            "repairs": count_repairs(monitors),
            "schedules": schedules or None,
            "gaps_last_hour": count_recent_gaps(gaps, time.time()),
            "monitors": monitors,
            "gaps": [to_gap_view(gap) for gap in gaps],
        }
        return {k: v for k, v in body.items() if v is not None}

    async def _count_schedules(self) -> dict[str, int]:
        """Return how many schedules are in each state; nothing for narrow tokens."""
        if request_context.get_task_filter() is not None:
            return {}
        return count_states((await self._shared.schedules.read_all()).schedules)

    def _describe_push(self) -> dict[str, Any]:
        """Return the push statistics of this process."""
        tally = self._shared.metrics
        return {
            "connections": tally.connections,
            "watchers": self._shared.hub.count_subscribers(),
            "resets": self._shared.log_reader.resets,
            "resets_by_reason": dict(tally.resets),
            "push": tally.pushes.compute_percentiles(time.monotonic()),
        }

    def _describe_memory(self, memory: Sequence[ServerMemory]) -> dict[str, Any]:
        # Task-scoped tokens must not see which processes run where.
        return (
            {"servers": memory}
            if memory and request_context.get_task_filter() is None
            else {}
        )

    def _describe_backend(self) -> dict[str, object] | None:
        backend = self._shared.backend
        return (
            backend.describe()
            if backend and request_context.get_task_filter() is None
            else None
        )


def find_lags(monitors: Sequence[MonitorView]) -> dict[str, Any]:
    """Return the lag of stored events, of the best monitor. Pure."""
    arrivals = [m.last_event_at for m in monitors if m.last_event_at]
    late = [m.lag_ms for m in monitors if m.connected]
    return {
        "event_lag_ms": min(late) if late else None,
        "last_event_at": max(arrivals) if arrivals else None,
    }


def count_repairs(monitors: Sequence[MonitorView]) -> dict[str, int]:
    """Return the repairs by the live monitors since they started. Pure."""
    return {
        word: sum(one.counters.get(f"reconciler_{word}", 0) for one in monitors)
        for word in REPAIR_COUNTERS
    }


def count_recent_gaps(gaps: Sequence[Gap], now: float) -> dict[str, int]:
    """Return the numbers of recent and open gaps. Pure."""
    late = [
        g for g in gaps if g.state == "open" or from_rfc3339(g.until) >= now - HOUR_S
    ]
    return {
        "count": len(late),
        "open": sum(gap.state == "open" for gap in late),
        "missing": sum(gap.missing for gap in late),
        "repaired": sum(gap.repaired for gap in late),
        "unrepairable": sum(gap.state == UNREPAIRABLE for gap in late),
    }
