"""Keep track of the requests that are being answered, so that a server stops after
them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress

FOLLOW_UP_S = 0.2
"""Seconds in which a client may ask for more after its answer: some list the tools
then, to check the answer against the schema of its tool."""


class ActiveCalls:
    """The requests of MCP that have no complete response yet."""

    def __init__(self) -> None:
        self._calls: set[asyncio.Event] = set()

    @contextmanager
    def count(self) -> Generator[None]:
        """Keep track of one request within the block."""
        done = asyncio.Event()
        self._calls.add(done)
        try:
            yield
        finally:
            self._calls.discard(done)
            done.set()

    async def wait_until_answered(self, timeout_s: float) -> None:
        """Return when those that there are, and what follows them, are answered.

        Returns after `timeout_s` at the latest; requests that begin later are not
        waited for.
        """
        if not self._calls:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wait_for_present()
                await asyncio.sleep(FOLLOW_UP_S)
                await self._wait_for_present()

    async def _wait_for_present(self) -> None:
        for done in list(self._calls):
            await done.wait()
