"""Cache of the last day's failures by cause, refreshed on demand."""

from __future__ import annotations

import asyncio
import time

from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import MINUTE_S
from herald_core.store.ports import TaskReader
from herald_server.auth.scoped_store import forbid_scoped, get_unscoped
from herald_server.insight.stats.rollup_cache import (
    DAY_S,
    LATE_WINDOW_S,
    REFRESH_INTERVAL_S,
)

TTL_S = 0.5
"""Seconds for which what was read is taken as it is."""


class FailureMinutes:
    """The failures of each minute of the last day. Not for task-scoped tokens."""

    def __init__(self, reader: TaskReader) -> None:
        self._reader: TaskReader = get_unscoped(reader)
        self._minutes: dict[int, FailureRollup] = {}
        self._read_at = 0.0
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()

    async def read_day(self, now: float) -> list[FailureRollup]:
        """Return the minutes of the last day with any failure, oldest first.

        `now` is in unix seconds. Raises `StoreError`.
        """
        forbid_scoped("counting failures")
        async with self._lock:
            await self._refresh(now)
        return [self._minutes[at] for at in sorted(self._minutes)]

    async def _refresh(self, now: float) -> None:
        at = time.monotonic()
        if self._read_at and at - self._read_at < TTL_S:
            return
        anew = not self._refresh_at or at - self._refresh_at >= REFRESH_INTERVAL_S
        since = now - (DAY_S if anew else LATE_WINDOW_S + (at - self._read_at))
        read = await self._reader.read_failure_rollups(since, now + MINUTE_S)
        first = since // MINUTE_S * MINUTE_S
        kept = {m: one for m, one in self._minutes.items() if now - DAY_S < m < first}
        self._minutes = kept | {one.at: one for one in read}
        self._read_at = at
        if anew:
            self._refresh_at = at
