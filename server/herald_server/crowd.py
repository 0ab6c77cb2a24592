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
        self._restarts_within: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def joined(self, pump: Pump) -> Generator[None]:
        """Count `pump` among them for the length of the block."""
        self._open.add(pump)
        if self._restarts_within is not None:
            # Came while the others were leaving.
            self._tell(pump, self._restarts_within)
        try:
            yield
        finally:
            self._open.discard(pump)
            if not self._open:
                self._empty.set()

    async def restart(self, within: float) -> None:
        """Tell every client to come back, spread over `within` seconds.

        Who comes from now on is told as well.
        """
        self._restarts_within = within
        for pump in list(self._open):
            self._tell(pump, within)
        if self._open:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_WITHIN):
                    await self._empty.wait()

    def _tell(self, pump: Pump, within: float) -> None:
        pump.bye(round(random.uniform(0, within) * 1000))
