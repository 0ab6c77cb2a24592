"""Messages of one endpoint, from the change log into its delivery queue."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from herald_core.errors import StoreError
from herald_core.model.alerts.alert import ALERT_KIND
from herald_core.model.changes import LogEntry
from herald_core.model.cursor import Cursor
from herald_core.store.ports import Store
from herald_server.push.log.hub import Hub
from herald_server.push.log.tail import LogPosition, LogTail
from herald_server.webhooks.delivery.backfill import read_changed_since
from herald_server.webhooks.delivery_queue import DeliveryQueue, LogBatch
from herald_server.webhooks.endpoint import WebhookEndpoint
from herald_server.webhooks.message import (
    make_alert_message,
    make_change_message,
    make_reset_message,
    make_task_message,
)
from herald_server.webhooks.repository import retry_forever

log = logging.getLogger(__name__)

BATCH_SIZE = 8
"""Entries of the log that are read in one step."""

POLL_INTERVAL_S = 0.05
"""Seconds between checks whether the queue has room again."""


class LogFeeder:
    """Reads the log from the cursor of `queue` on, and fills it.

    `on_added` is called after messages were added, `on_reset` after the endpoint got
    all that changed while changes were missed.
    """

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        store: Store,
        hub: Hub,
        queue: DeliveryQueue,
        on_added: Callable[[], None],
        on_reset: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._store = store
        self._hub = hub
        self._queue = queue
        self._on_added = on_added
        self._on_reset = on_reset

    async def run(self) -> None:
        """Read until cancelled."""
        at = LogPosition(self._queue.cursor)
        with LogTail(self._hub, self._store, at, BATCH_SIZE) as tail:
            while True:
                await self._wait_for_room()
                since = tail.at.cursor
                try:
                    part = await tail.read()
                except StoreError:
                    await asyncio.sleep(random.uniform(0.2, 0.6))
                    continue
                if part is None:
                    return
                if part.lost:
                    tail.seek(await self._start_over(since, part.lost))
                else:
                    self._add_entries(part.entries)

    def _add_entries(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            batch = self._queue.begin(entry.cursor)
            for change in entry.changes:
                message = make_change_message(change, self._endpoint)
                if message is not None:
                    self._queue.add(message, batch)
            self._queue.end(batch)
        self._on_added()

    async def _wait_for_room(self) -> None:
        while not self._queue.has_room:  # noqa: ASYNC110 - polled where it is rare
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _start_over(self, since: Cursor, reason: str) -> LogPosition:
        """Send that changes were missed; then the matching tasks that changed since."""
        end = await retry_forever(self._store.read_end)
        log.warning(
            "webhook %s: changes behind %s were missed (%s); a reset is sent to it",
            self._endpoint.id,
            since,
            reason,
        )
        # Keeps the cursor until all is sent: a successor repeats this.
        batch = self._queue.begin(end)
        reset = make_reset_message(self._endpoint, reason, since, end, time.time())
        self._queue.add(reset, batch)
        self._on_added()
        while reset.id in self._queue:  # noqa: ASYNC110 - polled where it is rare
            await asyncio.sleep(POLL_INTERVAL_S)
        await retry_forever(lambda: self._send_snapshot(batch, since, end))
        self._queue.end(batch)
        self._on_reset()
        return LogPosition(end)

    async def _send_snapshot(self, batch: LogBatch, since: Cursor, end: Cursor) -> None:
        for alert in await self._store.list_documents(ALERT_KIND):
            await self._wait_for_room()
            message = make_alert_message(alert.to_view(), self._endpoint)
            if message is not None:
                self._queue.add(message, batch)
        async for task in read_changed_since(self._store, self._endpoint, since, end):
            await self._wait_for_room()
            self._queue.add(make_task_message(task, self._endpoint), batch)
            self._on_added()
