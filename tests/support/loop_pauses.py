"""How long the loop that a test shares with a server did nothing else.

In CPU time of its thread: what other processes take of the machine does not count.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Pauses:
    """The longest time in which the loop did nothing else, in seconds of CPU time."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Watch the loop until cancelled."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now


@asynccontextmanager
async def pauses() -> AsyncGenerator[Pauses]:
    watched = Pauses()
    watching = asyncio.create_task(watched.watch())
    try:
        yield watched
    finally:
        watching.cancel()
