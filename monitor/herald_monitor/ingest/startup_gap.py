"""The gap before the start of a monitor: the time since the last stored event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from herald_core.model.filters import Filter
from herald_core.model.monitors import is_covering
from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.ports import TaskReader

POLL_INTERVAL_S = 0.1
OTHERS_TIMEOUT_S = 4.0
"""Seconds in which a running monitor has stored what arrived before, and said so: it
sends a heartbeat a second."""


async def read_last_stored(reader: TaskReader) -> float | None:
    """Return the time of the last write (unix seconds), or None if there was none.

    The precision is two seconds, the interval of heartbeats. Raises `StoreError`.
    """
    workers = await reader.list_workers(now=time.time())
    newest = (await reader.list_tasks(Filter(), limit=1)).tasks
    told = [one.updated_at for one in workers] + [one.updated_at for one in newest]
    return max((from_rfc3339(at) for at in told if at), default=None)


async def is_covered_by_other(reader: TaskReader, node: str, at: float) -> bool:
    """Return True if a monitor other than `node` stored all that came before `at`.

    A monitor that has just crashed still looks alive, and one that crashes now takes
    with it what it has not stored. Of two that begin at the same time neither covers
    the other.
    """
    given_up = time.monotonic() + OTHERS_TIMEOUT_S
    while True:
        others = [one for one in await reader.list_monitors() if one.id != node]
        if any(is_covering(one, at) for one in others):
            return True
        if not any(one.connected for one in others) or time.monotonic() > given_up:
            return False
        await asyncio.sleep(POLL_INTERVAL_S)


async def wait_connected(is_connected: Callable[[], bool]) -> float:
    """Wait until `is_connected`; return when that was, in unix seconds."""
    while True:
        if is_connected():
            return time.time()
        await asyncio.sleep(0.02)
