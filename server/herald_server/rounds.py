"""Whose turn it is to be told: all connections of a process, in rounds.

One round for all costs less than half of a task that wakes for each, and keeps no
memory for any. It gives way to everything else after each few turns.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from herald_server.pacing import Pace

AT_ONCE = 64
"""Turns after which the rest of the process gets its own: about 2 ms."""

GLANCE = 1.0
"""Seconds between two looks at the clock for those who are quiet."""


class Turn(Protocol):
    """One connection. Neither method may block."""

    def turn(self, now: float, data: bool) -> None:
        """Tell what is to be told; changes only with `data`."""
        ...

    def glance(self, now: float) -> None:
        """Do what is due by the clock alone."""
        ...


class Rounds:
    """The connections that have something to be told, each at most once."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._glance = GLANCE
        self._looking: asyncio.TimerHandle | None = None
        self._due: deque[Turn] = deque()
        self._gathering: list[Turn] = []
        """Those whose changes wait for the tick."""
        self._ripe: deque[Turn] = deque()
        self._took = 0.0
        """Seconds that telling the ripe has taken so far."""
        self._going = False
        self._all: set[Turn] = set()

    def join(self, one: Turn, glance: float = GLANCE) -> None:
        """Look at the clock for `one` each `glance` seconds, until it leaves."""
        self._all.add(one)
        self._glance = min(self._glance, glance)
        self._look_later()

    def leave(self, one: Turn) -> None:
        """Forget `one`. A turn that it is owed still comes."""
        self._all.discard(one)
        if not self._all and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def due(self, one: Turn) -> None:
        """Give `one` a turn soon. Not to be called again before it has come."""
        self._due.append(one)
        self._go_on()

    def _go_on(self) -> None:
        if not self._going:
            self._going = True
            asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        self._going = False
        now = time.monotonic()
        done = self._tell_ripe(now)
        for _ in range(AT_ONCE - done):
            if self._due:
                self._begin(self._due.popleft(), now)
            else:
                return
        self._go_on()

    def _tell_ripe(self, now: float) -> int:
        """Tell some of those whose tick is over; return how many."""
        many = min(len(self._ripe), AT_ONCE)
        if not many:
            return 0
        for _ in range(many):
            self._ripe.popleft().turn(now, True)
        self._took += time.monotonic() - now
        if not self._ripe:
            self.pace.told(self._took)
            self._took = 0.0
        return many

    def _begin(self, one: Turn, now: float) -> None:
        at_once = self.pace.take(now)
        one.turn(now, at_once)
        if not at_once:
            self._gathering.append(one)
            if len(self._gathering) == 1:
                loop = asyncio.get_running_loop()
                loop.call_later(self.pace.tick, self._ripen)

    def _ripen(self) -> None:
        self._ripe.extend(self._gathering)
        self._gathering.clear()
        self._go_on()

    def _look_later(self) -> None:
        if self._looking is None:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(self._glance, self._look)

    def _look(self) -> None:
        self._looking = None
        now = time.monotonic()
        for one in list(self._all):
            one.glance(now)
        if self._all:
            self._look_later()
