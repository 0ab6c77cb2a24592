"""Check whenever workers change, and now and then, in the process with a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import anyio

from herald_core.model.changes import WORKER, Change
from herald_core.model.filters import Filter
from herald_core.store.lease import Lease
from herald_server.push.log.hub import Hub, Subscriber

POLL_INTERVAL_S = 0.5
"""Minimum seconds between two checks: workers send events all the time."""

CHECK_INTERVAL_S = 10.0
"""Maximum seconds between two checks."""


async def follow_workers(
    hub: Hub,
    lease: Lease,
    check: Callable[[], Awaitable[None]],
    record: Callable[[Sequence[Change], bool], Awaitable[None]] | None = None,
) -> None:
    """Call `check` until cancelled; it asks whether `lease` is held.

    `record` gets the changes of workers after each check, and True if they are all
    changes since the last call.
    """
    moved = asyncio.Event()
    subscriber = Subscriber(Filter(), moved.set, WORKER)
    hub.subscribe(subscriber)
    try:
        async with lease:
            while True:
                await check()
                await asyncio.sleep(POLL_INTERVAL_S)
                with anyio.move_on_after(CHECK_INTERVAL_S):
                    await moved.wait()
                moved.clear()
                changes, is_complete = subscriber.drain(), not subscriber.reset
                subscriber.reset = ""
                if record is not None:
                    await record(changes, is_complete)
    finally:
        hub.unsubscribe(subscriber)
