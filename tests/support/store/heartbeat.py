"""The heartbeat of a monitor that hears its broker, without the monitor."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from herald_core.errors import StoreError
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background

PERIOD_S = 0.5
"""Seconds between two heartbeats: after 3 s without one, answers are outdated."""


async def beat(store: Store, node: str = "m1", **image: Any) -> None:
    """Store a heartbeat of the monitor `node`, with more fields of `MonitorView`."""
    now = time.time()
    told: dict[str, Any] = {"connected": True, "started_at": to_rfc3339(now), **image}
    monitor = MonitorView(id=node, seen_at=to_rfc3339(now), **told)
    await store.record_heartbeat(monitor, now=now)


@contextlib.asynccontextmanager
async def beating(beat_once: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Beat once, and go on for the length of the block, also while the store fails."""
    await beat_once()
    async with run_in_background(_go_on(beat_once)):
        yield


async def _go_on(beat_once: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(PERIOD_S)
        with contextlib.suppress(StoreError):
            await beat_once()
