"""Gaps for the time in which events were missed: a cut, or no monitor at all."""

from __future__ import annotations

import asyncio
from typing import Protocol

from herald_core.errors import StoreError
from herald_core.store.ports import TaskReader
from herald_monitor.ingest.outbox.coverage import (
    is_covered_by_outbox,
    is_held_by_outbox,
)
from herald_monitor.ingest.startup_gap import is_covered_by_other, wait_connected
from herald_monitor.runtime.event_sources import EventSources


class OpenGap(Protocol):
    """Opens a gap; `durable`: the broker stored its events."""

    def __call__(
        self, since: float, until: float, reason: str, *, durable: bool = False
    ) -> None: ...


class MissedEvents:
    """Opens gaps for the monitor `node`, unless the outbox has all events.

    For the loop of the monitor.
    """

    def __init__(
        self, reader: TaskReader, sources: EventSources, node: str, open_gap: OpenGap
    ) -> None:
        self._reader = reader
        self._sources = sources
        self._node = node
        self._open_gap = open_gap
        self._covered = 0
        self._decisions: set[asyncio.Task[None]] = set()

    async def decide_start(self, stored: float | None) -> None:
        """Open a gap for the time since `stored` (unix s) if no monitor ran in it."""
        at = await wait_connected(lambda: self._sources.connected)
        if stored is None:
            return
        try:
            covered = await self._is_start_covered(stored, at)
        except StoreError:
            covered = False
        if not covered:
            durable = self._sources.is_durable
            self._open_gap(stored, at, "no monitor was running", durable=durable)

    async def _is_start_covered(self, stored: float, at: float) -> bool:
        if await is_covered_by_other(self._reader, self._node, at):
            return True
        outbox = self._sources.outbox
        if outbox is None:
            return False
        covered = await is_covered_by_outbox(self._reader, outbox, stored)
        self._covered += covered
        return covered

    def start_decision(self, since: float, until: float, reason: str) -> None:
        """Open a gap for a cut of the broker's events, or find out that none is."""
        task = asyncio.ensure_future(self._decide(since, until, reason))
        self._decisions.add(task)
        task.add_done_callback(self._decisions.discard)

    async def _decide(self, since: float, until: float, reason: str) -> None:
        outbox = self._sources.outbox
        covered = False
        try:
            if outbox is not None and outbox.exists:
                covered = await is_held_by_outbox(self._reader, since)
        except StoreError:
            pass
        self._covered += covered
        if not covered:
            self._open_gap(since, until, reason)

    def list_decisions(self) -> list[asyncio.Task[None]]:
        """Return the decisions that are not made yet."""
        return list(self._decisions)

    def list_counts(self) -> dict[str, int]:
        """Return how many cuts, and times without a monitor, the outbox covered."""
        if self._sources.outbox is None:
            return {}
        return {"outbox_gaps_avoided": self._covered}
