"""Whether the outbox holds what the broker's events would have told.

A cut of the broker's events, and a time without a monitor, lose nothing if all workers
write to the outbox. A producer without it loses its `task-sent` events: each such task
is known, with all but the time at which it was sent, once a worker receives it.
"""

from __future__ import annotations

import asyncio
import time

from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.ports import TaskReader
from herald_monitor.ingest.outbox.outbox_reader import OutboxReader
from herald_monitor.ingest.startup_gap import wait_connected

PRECEDING_S = 10.0
"""Seconds before a cut in which a worker was heard that ran when it began."""

ANSWER_S = 3.0
"""Seconds in which a worker that began meanwhile is heard: heartbeats come every 2 s,
and workers answer at once when a monitor connects."""


async def is_held_by_outbox(reader: TaskReader, since: float) -> bool:
    """Return True if all workers that ran after `since` (unix s) write to the outbox.

    False if none ran. If all that are known do, it waits for others. Raises
    `StoreError`.
    """
    if not await _is_each_in_outbox(reader, since):
        return False
    await asyncio.sleep(ANSWER_S)
    return await _is_each_in_outbox(reader, since)


async def is_covered_by_outbox(
    reader: TaskReader, outbox: OutboxReader, stored: float
) -> bool:
    """Return True if nothing was missed since `stored`, when no monitor ran.

    The outbox must be read on from where a monitor stopped. Raises `StoreError`.
    """
    if not await is_held_by_outbox(reader, stored):
        return False
    await wait_connected(lambda: outbox.has_checked)
    return outbox.has_position


async def _is_each_in_outbox(reader: TaskReader, since: float) -> bool:
    workers = await reader.list_workers(now=time.time())
    ran = [
        one
        for one in workers
        if one.updated_at and from_rfc3339(one.updated_at) >= since - PRECEDING_S
    ]
    return bool(ran) and all(one.outbox for one in ran)
