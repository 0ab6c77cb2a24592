"""A request to a URL at intervals, which stops when Herald receives nothing.

A service that expects it (healthchecks.io, Uptime Kuma, Dead Man's Snitch) reports what
Herald itself cannot: that it, its store, or its machine is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import httpx2

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
CHECK_INTERVAL_S = 1.0
"""Seconds after which a process that may not send looks again, in memory."""


async def send_heartbeats(
    url: str, interval: float, may_send: Callable[[], bool]
) -> None:
    """Request `url` every `interval` seconds while `may_send`, until cancelled."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
        while True:
            if may_send():
                await _request(client, url)
                await asyncio.sleep(interval)
            else:
                await asyncio.sleep(CHECK_INTERVAL_S)


async def _request(client: httpx2.AsyncClient, url: str) -> None:
    try:
        answer = await client.get(url)
        if answer.is_error:
            log.warning("the heartbeat URL answered %s", answer.status_code)
    except httpx2.HTTPError as error:
        log.warning("the heartbeat URL was not reached: %s", type(error).__name__)
