"""What Herald says about itself to its watchers: stale or not, and its gaps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.store import Gap, MonitorImage, Store
from herald_server.feed import Feed
from herald_server.freshness import NO_MONITOR, LogState, Staleness, find_staleness
from herald_server.seen import bare

CHECK_EVERY = 1.0
AWAY = "the store does not answer"
SHOWN_GAPS = 20


def shown(gap: Gap) -> dict[str, Any]:
    """Return `gap` as everybody is shown it; one that is open says so."""
    return {**msgspec.to_builtins(gap), "state": gap.state}


class Status:
    """The state of this process's view; calls its listeners when it changes."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._gaps: list[Gap] = []
        self._outdated: str | None = NO_MONITOR
        self._lag_ms: int | None = None
        self._monitors: list[MonitorImage] | None = None
        self._listeners: set[Callable[[], None]] = set()
        self._news = asyncio.Event()

    def shown(self, narrow: bool = False) -> dict[str, Any]:
        """Return the fields of a `status` frame; of `narrow` ones, nothing more."""
        lag = self.lag_ms(time.monotonic())
        told = self._compared()
        if narrow:
            told["gaps"] = [shown(bare(gap)) for gap in self._gaps[:SHOWN_GAPS]]
            told |= {"problem": AWAY} if self._feed.problem else {}
        return {**told, **({} if lag is None else {"lag_ms": lag})}

    def lag_ms(self, now: float) -> int | None:
        """Return how old what is shown may be, in ms; None while nothing was heard.

        The time since the newest entry of the log came, at most a second while a
        monitor lives; or, if that is longer, how long events wait before a
        monitor stores them. `now` is of `time.monotonic()`.
        """
        if not self._feed.alive_at:
            return self._lag_ms
        quiet = max(round((now - self._feed.alive_at) * 1000), 0)
        return max(quiet, self._lag_ms or 0)

    def staleness(self) -> Staleness | None:
        """Return why answers may be outdated; None while they are not."""
        if self._monitors is None and not self._feed.problem:
            return None
        now, quiet = time.time(), time.monotonic() - self._feed.alive_at
        moved_at = now - quiet if self._feed.alive_at else 0.0
        log = LogState(moved_at, self._feed.problem, self._feed.stale)
        return find_staleness(log, self._monitors or (), now)

    def _compared(self) -> dict[str, Any]:
        problem = self._feed.problem or self._outdated
        return {
            "stale": self._outdated is not None,
            "gaps": [shown(gap) for gap in self._gaps[:SHOWN_GAPS]],
            **({"problem": problem} if problem else {}),
        }

    def tell(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever `shown` changes; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def run(self) -> None:
        """Notice silence and gaps until cancelled.

        Watchers are told on time while a store that is frozen keeps us waiting.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._tell())

    async def _read(self) -> None:
        await self._read_gaps()
        while True:
            if self._feed.gaps_changed.is_set():
                self._feed.gaps_changed.clear()
                await self._read_gaps()
            await self._read_monitors()
            self._news.set()
            await _wait_for(self._feed.gaps_changed)

    async def _tell(self) -> None:
        told = self._compared()
        while True:
            self._news.clear()
            self._weigh()
            # The lag alone is no news: it differs each time.
            if (now := self._compared()) != told:
                told = now
                for listener in list(self._listeners):
                    listener()
            await _wait_for(self._news)

    def _weigh(self) -> None:
        """Note why what is shown may be outdated, once that is known."""
        stale = self.staleness()
        if stale is not None or self._monitors is not None:
            # Not since when: while events are late that differs each time.
            self._outdated = stale.reason if stale else None

    async def _read_monitors(self) -> None:
        """Read who writes to the store, and how long events wait before that."""
        # Of a store that does not answer, the feed tells.
        with suppress(StoreError):
            self._monitors = await self._store.monitors()
        connected = [m for m in self._monitors or () if m.connected]
        self._lag_ms = min((m.lag_ms for m in connected), default=None)

    async def _read_gaps(self) -> None:
        try:
            self._gaps = await self._store.gaps()
        except StoreError:
            self._feed.gaps_changed.set()  # read again once the store answers
            await asyncio.sleep(CHECK_EVERY / 10)


async def _wait_for(event: asyncio.Event) -> None:
    """Return when `event` is set, or after `CHECK_EVERY` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CHECK_EVERY):
            await event.wait()
