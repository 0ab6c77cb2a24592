"""Status of this process's data for its subscribers: staleness and gaps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from herald_core.errors import StoreError
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.store.ports import Store
from herald_server.auth.scoped_store import redact_gap
from herald_server.push.freshness import NO_MONITOR, LogState, Staleness, find_staleness
from herald_server.push.log.log_reader import STALE_AFTER_S, STORE_SILENT, LogReader

CHECK_INTERVAL_S = 1.0
MAX_GAPS_SHOWN = 20


def to_gap_view(gap: Gap) -> dict[str, Any]:
    """Return `gap` as JSON, with its state."""
    return {**msgspec.to_builtins(gap), "state": gap.state}


class ServerStatus:
    """Tracks whether the data is up to date; calls its listeners on changes."""

    def __init__(self, store: Store, feed: LogReader) -> None:
        self._store = store
        self._log_reader = feed
        self._gaps: list[Gap] = []
        self._staleness: str | None = NO_MONITOR
        self._lag_ms: int | None = None
        self._monitors: list[MonitorView] | None = None
        self._listeners: set[Callable[[], None]] = set()
        self._refreshed = asyncio.Event()

    def to_json(self, narrow: bool = False) -> dict[str, Any]:
        """Return the fields of a `status` frame; reduced for
        task-scoped tokens (`narrow`)."""
        lag = self.compute_lag_ms(time.monotonic())
        told = self._get_comparable_fields()
        if narrow:
            told["gaps"] = [
                to_gap_view(redact_gap(gap)) for gap in self._gaps[:MAX_GAPS_SHOWN]
            ]
            told |= {"problem": STORE_SILENT} if self._log_reader.problem else {}
        return {**told, **({} if lag is None else {"lag_ms": lag})}

    def compute_lag_ms(self, now: float) -> int | None:
        """Return the age of the data in ms; None before the first entry.

        It is the time since the newest entry of the log arrived, at most a second while
        a monitor runs; or, if longer, the time that events wait before a monitor stores
        them. `now` is of `time.monotonic()`.
        """
        if not self._log_reader.alive_at:
            return self._lag_ms
        quiet = max(round((now - self._log_reader.alive_at) * 1000), 0)
        return max(quiet, self._lag_ms or 0)

    def find_staleness(self) -> Staleness | None:
        """Return why responses may be outdated; None if they are not."""
        if self._monitors is None and not self._log_reader.problem:
            return None
        now, quiet = time.time(), time.monotonic() - self._log_reader.alive_at
        moved_at = now - quiet if self._log_reader.alive_at else 0.0
        log = LogState(moved_at, self._log_reader.problem, quiet > STALE_AFTER_S)
        return find_staleness(log, self._monitors or (), now)

    def _get_comparable_fields(self) -> dict[str, Any]:
        problem = self._log_reader.problem or self._staleness
        return {
            "stale": self._staleness is not None,
            "gaps": [to_gap_view(gap) for gap in self._gaps[:MAX_GAPS_SHOWN]],
            **({"problem": problem} if problem else {}),
        }

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever `shown` changes; return a function that stops it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def run(self) -> None:
        """Track staleness and gaps until cancelled.

        Listeners are called in time even while the store does not respond.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._refresh())
            tasks.create_task(self._call_listeners())

    async def _refresh(self) -> None:
        await self._read_gaps()
        while True:
            if self._log_reader.gaps_changed.is_set():
                self._log_reader.gaps_changed.clear()
                await self._read_gaps()
            await self._read_monitors()
            self._refreshed.set()
            await _wait_for_event(self._log_reader.gaps_changed)

    async def _call_listeners(self) -> None:
        told = self._get_comparable_fields()
        while True:
            self._refreshed.clear()
            self._log_reader.check_overdue()
            self._update_staleness()
            # A different lag alone is not sent: it always differs.
            if (now := self._get_comparable_fields()) != told:
                told = now
                for listener in list(self._listeners):
                    listener()
            await _wait_for_event(self._refreshed)

    def _update_staleness(self) -> None:
        """Update the reason why the data may be outdated, once it is known."""
        stale = self.find_staleness()
        if stale is not None or self._monitors is not None:
            # Without `since`: while events are late it always differs.
            self._staleness = stale.reason if stale else None

    async def _read_monitors(self) -> None:
        """Read the monitors, and how long events wait before they are stored."""
        # The log reader reports a store that does not answer.
        with suppress(StoreError):
            self._monitors = await self._store.list_monitors()
        connected = [m for m in self._monitors or () if m.connected]
        self._lag_ms = min((m.lag_ms for m in connected), default=None)

    async def _read_gaps(self) -> None:
        try:
            self._gaps = await self._store.list_gaps()
        except StoreError:
            self._log_reader.gaps_changed.set()  # read again once the store answers
            await asyncio.sleep(CHECK_INTERVAL_S / 10)


async def _wait_for_event(event: asyncio.Event) -> None:
    """Return when `event` is set, or after `CHECK_INTERVAL_S` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CHECK_INTERVAL_S):
            await event.wait()
