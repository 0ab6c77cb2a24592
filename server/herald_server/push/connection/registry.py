"""Registry of open connections, to announce a restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from contextlib import contextmanager, suppress

from herald_server.push.connection.connection import Connection

LEAVE_TIMEOUT_S = 1.0
"""Seconds in which connections must end after the announcement of a restart."""


class ConnectionRegistry:
    """The open connections of one kind."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._empty = asyncio.Event()
        self._restart_spread_s: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def register(self, pump: Connection) -> Generator[None]:
        """Register `pump` for the duration of the block."""
        self._open.add(pump)
        if self._restart_spread_s is not None:
            # Connected while the others were disconnected.
            self._announce(pump, self._restart_spread_s)
        try:
            yield
        finally:
            self._open.discard(pump)
            if not self._open:
                self._empty.set()

    async def announce_restart(self, within: float) -> None:
        """Ask every client to reconnect, spread over `within` seconds.

        Connections that open later are asked too.
        """
        self._restart_spread_s = within
        for pump in list(self._open):
            self._announce(pump, within)
        if self._open:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await self._empty.wait()

    def _announce(self, pump: Connection, within: float) -> None:
        pump.announce_restart(round(random.uniform(0, within) * 1000))
