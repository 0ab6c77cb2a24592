"""The open connections of one kind, so that they can be told of a restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from contextlib import contextmanager, suppress

from herald_server.pump import Pump

LEAVE_WITHIN = 1.0
"""Seconds in which those who were told have to be gone."""


class Crowd:
    """Those who are connected now."""

    def __init__(self) -> None:
        self._open: set[Pump] = set()
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def joined(self, pump: Pump) -> Generator[None]:
        """Count `pump` among them for the length of the block."""
        self._open.add(pump)
        try:
            yield
        finally:
            self._open.discard(pump)
            if not self._open:
                self._empty.set()

    async def restart(self, within: float) -> None:
        """Tell every client to come back, spread over `within` seconds."""
        for pump in list(self._open):
            pump.bye(round(random.uniform(0, within) * 1000))
        if self._open:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_WITHIN):
                    await self._empty.wait()
