"""What a monitor that starts has missed: all since something was stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import unix
from herald_monitor.store import Reader

GLANCE = 0.1
OTHERS_WITHIN = 2.5
"""Seconds in which another monitor that lives has said so: it does once a second."""


async def last_stored(reader: Reader) -> float | None:
    """Return when something was last stored (unix seconds), or None if never.

    As near as can be told: workers speak every two seconds. Raises `StoreError`.
    """
    workers = await reader.workers(now=time.time())
    newest = (await reader.page(Filter(), limit=1)).tasks
    told = [one.updated_at for one in workers] + [one.updated_at for one in newest]
    return max((unix(at) for at in told if at), default=None)


async def is_covered(reader: Reader, node: str, at: float) -> bool:
    """Say whether a monitor other than `node` hears events since before `at`.

    One that died lately still seems to live, so it must say so after `at`.
    """
    given_up = time.monotonic() + OTHERS_WITHIN
    while True:
        others = [one for one in await reader.monitors() if one.id != node]
        hearing = [one for one in others if one.connected and unix(one.started_at) < at]
        if any(unix(one.seen_at) >= at for one in hearing):
            return True
        if not hearing or time.monotonic() > given_up:
            return False
        await asyncio.sleep(GLANCE)


async def connected(is_connected: Callable[[], bool]) -> float:
    """Wait until `is_connected`; return when that was, in unix seconds."""
    while True:
        if is_connected():
            return time.time()
        await asyncio.sleep(0.02)
