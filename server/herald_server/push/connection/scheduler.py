"""Schedule the flushes of all connections of a process, round-robin.

One round for all costs less than half of a task per connection, and needs no memory per
connection. It yields to other work after every few flushes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from herald_server.push.connection.flush_rate import FlushRate

MAX_FLUSHES = 64
"""Flushes after which the event loop runs other tasks: about 2 ms."""

CHECK_INTERVAL_S = 1.0
"""Seconds between checks of the deadlines of idle connections."""


class Flushable(Protocol):
    """One connection. Neither method may block."""

    def flush(self, now: float, data: bool) -> None:
        """Flush what is pending; changes only with `data`."""
        ...

    def check_deadlines(self, now: float) -> None:
        """Do what is due by time."""
        ...


class FlushScheduler:
    """The connections with pending frames, each at most once."""

    def __init__(self, pace: FlushRate | None = None) -> None:
        self.rate = pace or FlushRate()
        self._check_interval = CHECK_INTERVAL_S
        self._check_timer: asyncio.TimerHandle | None = None
        self._due: deque[Flushable] = deque()
        self._tick_timer: list[Flushable] = []
        """Those whose changes wait for the tick."""
        self._ready: deque[Flushable] = deque()
        self._flush_s = 0.0
        """Seconds used so far for flushing due connections."""
        self._is_running = False
        self._all: set[Flushable] = set()

    def add(self, one: Flushable, glance: float = CHECK_INTERVAL_S) -> None:
        """Call `one.glance` every `glance` seconds, until it leaves."""
        self._all.add(one)
        self._check_interval = min(self._check_interval, glance)
        self._schedule_check()

    def remove(self, one: Flushable) -> None:
        """Remove `one`. A flush that is due already still happens."""
        self._all.discard(one)
        if not self._all and self._check_timer is not None:
            self._check_timer.cancel()
            self._check_timer = None

    def schedule(self, one: Flushable) -> None:
        """Schedule a flush of `one`. Must not be called again before
        it has happened."""
        self._due.append(one)
        self._continue()

    def schedule_changes(self, one: Flushable) -> None:
        """Schedule a flush of `one`, which has nothing but changes.

        They wait for the tick if there is one: others already wait for it.
        """
        if self._tick_timer:
            self._tick_timer.append(one)
        else:
            self.schedule(one)

    def _continue(self) -> None:
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_soon(self._run_round)

    def _run_round(self) -> None:
        self._is_running = False
        now = time.monotonic()
        done = self._flush_ready(now) if self._ready else 0
        at_once = True
        for _ in range(MAX_FLUSHES - done):
            if not self._due:
                return
            one = self._due.popleft()
            # None is left for the next one either: it is the same moment.
            at_once = at_once and self.rate.try_acquire(now)
            one.flush(now, at_once)
            if not at_once:
                self._gather(one)
        self._continue()

    def _flush_ready(self, now: float) -> int:
        """Flush some connections whose tick has passed; return their number."""
        many = min(len(self._ready), MAX_FLUSHES)
        for _ in range(many):
            self._ready.popleft().flush(now, True)
        self._flush_s += time.monotonic() - now
        if not self._ready:
            self.rate.record_round(self._flush_s)
            self._flush_s = 0.0
        return many

    def _gather(self, one: Flushable) -> None:
        self._tick_timer.append(one)
        if len(self._tick_timer) == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(self.rate.tick, self._make_ready)

    def _make_ready(self) -> None:
        self._ready.extend(self._tick_timer)
        self._tick_timer.clear()
        self._continue()

    def _schedule_check(self) -> None:
        if self._check_timer is None:
            loop = asyncio.get_running_loop()
            self._check_timer = loop.call_later(
                self._check_interval, self._check_deadlines
            )

    def _check_deadlines(self) -> None:
        self._check_timer = None
        now = time.monotonic()
        for one in list(self._all):
            one.check_deadlines(now)
        if self._all:
            self._schedule_check()
