"""A piece of work that only one of several monitors does at a time."""

from __future__ import annotations

import asyncio
import logging
import time

from herald_monitor.errors import StoreError
from herald_monitor.store import Writer

log = logging.getLogger(__name__)

SECONDS = 6.0
RENEW = 2.0
"""Seconds; a holder that dies is followed within the sum of both."""


class Lease:
    """The right to do `work`, asked for and renewed by `keep`."""

    def __init__(self, writer: Writer, work: str, owner: str) -> None:
        self._writer = writer
        self._work = work
        self._owner = owner
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether the work is ours now."""
        return time.monotonic() < self._until

    async def keep(self) -> None:
        """Ask for it until cancelled, and then give it back."""
        try:
            while True:
                await self._ask()
                await asyncio.sleep(RENEW)
        finally:
            await self._give_back()

    async def _ask(self) -> None:
        # Counted from before the question: the store may answer late.
        asked = time.monotonic()
        try:
            mine = await self._writer.lease(self._work, self._owner, SECONDS)
        except StoreError as error:
            log.debug("no lease of %s: %s", self._work, error)
            return
        if mine != self.held:
            log.debug("%s %s", "I do" if mine else "Another does", self._work)
        self._until = asked + SECONDS if mine else 0.0

    async def _give_back(self) -> None:
        held, self._until = self.held, 0.0
        if not held:
            return
        try:
            async with asyncio.timeout(0.5):
                # For no time at all: the next one need not wait.
                await self._writer.lease(self._work, self._owner, 0.0)
        except (StoreError, TimeoutError) as error:
            log.debug("the lease of %s runs out by itself: %s", self._work, error)
