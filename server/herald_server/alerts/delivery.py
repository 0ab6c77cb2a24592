"""Send the notices of alerts to their receivers, each once.

Before a message is sent, each of its notices is claimed in the store; afterwards it is
recorded as sent. So a notice is never lost, and repeated only if the process ends
between the two; the message then says that it may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from herald_core.model.alerts.alert import Alert
from herald_core.store.key_value import KeyValueStore
from herald_core.system.cancellation import cancel_tasks
from herald_server.alerts.delivery_records import (
    CLAIMED,
    FAILED,
    RECORD_KIND,
    RECORD_TTL_S,
    SENT,
    DeliveryRecord,
    PendingNotice,
    list_pending,
)
from herald_server.alerts.receivers import AlertReceiver, AlertSettings
from herald_server.alerts.text import AlertText, compose_text
from herald_server.webhooks.repository import retry_forever
from herald_server.webhooks.retry_policy import RetryPolicy

log = logging.getLogger(__name__)

RETRY_POLICY = RetryPolicy(first=5.0, longest=300.0)

FOREIGN_PAUSE_S = 60.0
"""Seconds after which a notice is sent that another process claimed meanwhile."""

CLOSE_TIMEOUT_S = 2.0
"""Seconds that messages under way get at the end: a server stops within five."""

SendText = Callable[[AlertReceiver, AlertText], Awaitable[str]]
"""Sends a text to a receiver, and returns what failed."""

_decoder = msgspec.json.Decoder(DeliveryRecord)


class AlertSender:
    """Sends notices while `is_leader` returns True, one at a time to a receiver."""

    def __init__(
        self, settings: AlertSettings, store: KeyValueStore, send_text: SendText
    ) -> None:
        self._receivers = settings.receivers
        self._group_wait = settings.group_wait
        self._items = store
        self._send_text = send_text
        self._records: dict[str, DeliveryRecord] = {}
        self._foreign: set[str] = set()
        """Records that another process claimed and did not conclude."""
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._due: float | None = None
        self.is_leader: Callable[[], bool] = lambda: True
        self.on_sent: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Read the records of all notices. Raises `StoreError`."""
        if not self._receivers:
            return
        if self._sending:
            await asyncio.wait(self._sending.values())
        stored = await self._items.get_items(RECORD_KIND)
        self._records = {key: _decoder.decode(text) for key, text in stored.items()}
        self._foreign = {
            key for key, one in self._records.items() if one.state == CLAIMED
        }

    async def close(self) -> None:
        """Let what is being sent arrive, for a short time."""
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=CLOSE_TIMEOUT_S)
        await cancel_tasks(*self._sending.values())
        self._sending.clear()

    def find_due(self) -> float | None:
        """Return when there is something to send (unix seconds), if that is known."""
        return self._due

    async def send(self, alerts: Iterable[Alert], now: float) -> None:
        """Begin to send what is due at `now` (unix seconds)."""
        known = tuple(alerts)
        waits: list[float] = []
        for receiver in self._receivers:
            if receiver.name in self._sending:
                continue
            pending = list_pending(
                known, receiver, self._records, self._group_wait, now
            )
            first = min((one.due for one in pending), default=None)
            if first is None:
                continue
            if first > now:
                waits.append(first)
            else:
                self._start(receiver, pending)
        self._due = min(waits, default=None)

    def _start(self, receiver: AlertReceiver, pending: Sequence[PendingNotice]) -> None:
        task = asyncio.create_task(self._deliver(receiver, pending))
        self._sending[receiver.name] = task
        task.add_done_callback(lambda ended: self._on_ended(receiver.name, ended))

    def _on_ended(self, name: str, task: asyncio.Task[None]) -> None:
        if self._sending.get(name) is task:
            del self._sending[name]
        if not task.cancelled() and task.exception() is not None:
            log.error("alerts for %s were not sent", name, exc_info=task.exception())
        self.on_sent()

    async def _deliver(
        self, receiver: AlertReceiver, pending: Sequence[PendingNotice]
    ) -> None:
        if not self.is_leader():
            return
        claimed = [one for one in pending if await self._claim(one)]
        if not claimed:
            return
        is_repeated = any(one.key in self._foreign for one in claimed)
        text = compose_text([one.notice for one in claimed], is_repeated)
        error = await self._send_text(receiver, text)
        if error:
            log.warning("alerts for %s were not sent: %s", receiver.name, error)
        for one in claimed:
            self._foreign.discard(one.key)
            await self._record_outcome(one, error)

    async def _claim(self, pending: PendingNotice) -> bool:
        """Store that a notice is about to be sent; return False if another sends it."""
        stored = None if pending.record is None else await self._read(pending.key)
        if stored is not None and stored.state == SENT:
            self._records[pending.key] = stored
            return False
        attempts = stored.attempts + 1 if stored else 1
        record = DeliveryRecord(state=CLAIMED, attempts=attempts)
        if await self._put(pending.key, record, new=stored is None):
            return True
        # The process that held the lease before is still about it.
        self._foreign.add(pending.key)
        self._records[pending.key] = msgspec.structs.replace(
            record, due=time.time() + FOREIGN_PAUSE_S
        )
        return False

    async def _read(self, key: str) -> DeliveryRecord | None:
        text = await retry_forever(lambda: self._items.get_item(RECORD_KIND, key))
        return None if text is None else _decoder.decode(text)

    async def _record_outcome(self, pending: PendingNotice, error: str) -> None:
        attempts = self._records[pending.key].attempts
        record = DeliveryRecord(state=SENT, attempts=attempts)
        if error:
            pause = RETRY_POLICY.compute_pause(attempts, random.random())
            record = DeliveryRecord(
                state=FAILED, attempts=attempts, due=time.time() + pause, error=error
            )
        await self._put(pending.key, record)

    async def _put(
        self, key: str, record: DeliveryRecord, *, new: bool = False
    ) -> bool:
        text = msgspec.json.encode(record)
        is_stored = await retry_forever(
            lambda: self._items.put_item(RECORD_KIND, key, text, RECORD_TTL_S, new=new)
        )
        if is_stored:
            self._records[key] = record
        return is_stored
