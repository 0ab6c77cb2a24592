"""A server whose store holds the recorded stream as if it ended just now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

from herald_core.model.monitors import OutboxView
from herald_core.store.redis.store import RedisStore
from herald_core.system.cancellation import run_in_background
from tests.golden.product import log_position, parse_events
from tests.support.celery.project import make_app
from tests.support.golden.stream import batches, store_stream
from tests.support.herald.server import Server, make_store, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

LIVING, GONE = "living@h", "w1@h"
"""Workers that may not, and may, be dismissed."""


COUNTED = (
    *("events", "task_events", "worker_events", "other_events", "backend_events"),
    *("asked_events", "changes", "batches", "retries", "poison", "dropped"),
    *("workers_refused", "missing", "reconnects", "reconciler_repaired"),
    *("reconciler_found", "reconciler_lost", "reconciler_searched"),
    *("outbox_entries", "outbox_events", "outbox_claimed", "outbox_lost"),
    *("outbox_dropped", "outbox_trimmed"),
)
"""What a monitor counts."""


BEAT_INTERVAL_S = 1.0
"""Seconds; as a monitor does: after 3 s without it, answers would be outdated."""

AHEAD_S = 600.0
"""Seconds by which the heartbeat of the living worker lies ahead.

A heartbeat that counts no tasks is an answer to a request: the interval that it names
is not the worker's own. It would be silent 6 s later, on a slow machine too soon.
"""


def heartbeat(now: float) -> dict[str, Any]:
    """Return what a worker says that speaks once a minute."""
    return {
        "type": "worker-heartbeat",
        "hostname": LIVING,
        "timestamp": now,
        "clock": 1,
        "pid": 7,
        "freq": 60.0,
    }


@contextlib.asynccontextmanager
async def recent(valkey: PrivateValkey) -> AsyncGenerator[Server]:
    """Serve it, with an app that can send tasks."""
    store, app = make_store(valkey.url), make_app(valkey.url, valkey.url)
    *_, last = batches()
    async with serving(
        valkey.url,
        store=store,
        celery=app,
        allowed_origins=("https://page.example",),
    ) as server:
        await _fill(server, store, time.time() - last.now)
        async with run_in_background(_beat_on(server)):
            yield server
    app.close()


async def _fill(server: Server, store: RedisStore, shift: float) -> None:
    # With Celery's 2 s they would be silent 6 s later, on a slow machine too soon.
    await store_stream(store, shift, AHEAD_S)
    now = time.time()
    _, living = parse_events([heartbeat(now + AHEAD_S)], now + AHEAD_S)
    await store.store([], living, now=now)
    await _beat(server)
    end = str(await store.read_end())
    await wait_until_async(
        lambda: log_position(server.app) == end, message="the log was read"
    )


async def _beat(server: Server) -> None:
    counters = dict.fromkeys(COUNTED, 1)
    await server.beat("monitor-1", counters=counters, outbox=OutboxView())


async def _beat_on(server: Server) -> None:
    """Keep the monitor alive, however long the requests take."""
    while True:
        await asyncio.sleep(BEAT_INTERVAL_S)
        await _beat(server)
