"""A piece of work that only one of several monitors does at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Self

from herald_core.errors import StoreError
from herald_core.store.ports import Writer
from herald_core.system.cancellation import cancel_tasks

log = logging.getLogger(__name__)

LEASE_S = 6.0
RENEW_INTERVAL_S = 2.0
"""Seconds; a holder that dies is followed within the sum of both."""


def compute_pause(now: float) -> float:
    """Return the seconds until leases are renewed; all of a machine at one moment.

    A server has several: it wakes once for all, and the store writes its file once.
    """
    return RENEW_INTERVAL_S - now % RENEW_INTERVAL_S


class Lease:
    """The exclusive right to do `work`, acquired and renewed while the block runs."""

    def __init__(self, writer: Writer, work: str, owner: str) -> None:
        self._writer = writer
        self._work = work
        self._owner = owner
        self._until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewing is not None:
            await cancel_tasks(self._renewing)

    @property
    def is_held(self) -> bool:
        """True if this process holds the lease now."""
        return time.monotonic() < self._until

    async def _renew(self) -> None:
        try:
            while True:
                await self._ask()
                await asyncio.sleep(compute_pause(time.monotonic()))
        finally:
            await self._give_back()

    async def _ask(self) -> None:
        # Counted from before the question: the store may answer late.
        started = time.monotonic()
        try:
            mine = await self._writer.acquire_lease(self._work, self._owner, LEASE_S)
        except StoreError as error:
            log.debug("no lease of %s: %s", self._work, error)
            return
        if mine != self.is_held:
            log.debug("%s %s", "I do" if mine else "Another does", self._work)
        self._until = started + LEASE_S if mine else 0.0

    async def _give_back(self) -> None:
        held, self._until = self.is_held, 0.0
        if not held:
            return
        try:
            async with asyncio.timeout(0.5):
                # For no time at all: the next one need not wait.
                await self._writer.acquire_lease(self._work, self._owner, 0.0)
        except (StoreError, TimeoutError) as error:
            log.debug("the lease of %s runs out by itself: %s", self._work, error)
