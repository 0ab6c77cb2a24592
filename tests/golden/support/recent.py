"""A server whose store holds the recorded stream as if it ended just now."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

from tests.golden.product import log_position, parse_events
from tests.golden.support.stream import batches, store_stream
from tests.project import make_app
from tests.servers import PrivateValkey
from tests.serving import Server, make_store, serving, until

LIVING, GONE = "living@h", "w1@h"
"""Workers that may not, and may, be dismissed."""


COUNTED = (
    *("events", "task_events", "worker_events", "other_events", "backend_events"),
    *("asked_events", "changes", "batches", "retries", "poison", "dropped"),
    *("workers_refused", "missing", "reconnects", "reconciler_repaired"),
    *("reconciler_found", "reconciler_lost"),
)
"""What a monitor counts."""


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
        now = time.time()
        await store_stream(store, shift=now - last.now)
        _, living = parse_events([heartbeat(now)], now)
        await store.store([], living, now=now)
        await server.beat("monitor-1", counters=dict.fromkeys(COUNTED, 1))
        end = str(await store.end())
        await until(lambda: log_position(server.app) == end, what="the log was read")
        yield server
    app.close()
