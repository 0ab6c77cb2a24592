"""Where a monitor's events come from: the broker, and the outbox if there is one."""

from __future__ import annotations

import asyncio
import threading

from celery import Celery

from herald_core.model.monitors import OutboxView
from herald_monitor.celery_client.broker.transport import has_fanout
from herald_monitor.ingest.outbox.entry_delivery import StreamCounts
from herald_monitor.ingest.outbox.outbox_reader import OutboxReader
from herald_monitor.ingest.receiver import Receiver

RECEIVER_STOP_TIMEOUT_S = 2.0
OUTBOX_STOP_TIMEOUT_S = 1.0


class EventSources:
    """The `receiver` of the broker's events, and the reader of the `outbox`.

    A broker that cannot carry events is left alone if there is an outbox.
    """

    def __init__(
        self, app: Celery, receiver: Receiver, outbox: OutboxReader | None
    ) -> None:
        self.outbox = outbox
        self._receiver = receiver
        self._receives_broker = outbox is None or has_fanout(app)
        self._thread = threading.Thread(
            target=receiver.run, name="receiver", daemon=True
        )

    def start(self, *, expects_history: bool) -> None:
        """Begin to receive. With `expects_history` the store holds earlier events."""
        if self._receives_broker:
            self._thread.start()
        if self.outbox is not None:
            self.outbox.start(expects_history=expects_history)

    async def stop_receiving(self) -> None:
        """Take no more events, from now on."""
        self._receiver.stop()
        if self.outbox is not None:
            self.outbox.pause()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, RECEIVER_STOP_TIMEOUT_S)

    async def close(self) -> None:
        """Acknowledge what is stored, and end."""
        if self.outbox is not None:
            await asyncio.to_thread(self.outbox.stop, OUTBOX_STOP_TIMEOUT_S)

    def set_headers_only(self, headers_only: bool) -> None:
        """Leave the decoding of events to other processes, or not."""
        self._receiver.headers_only = headers_only
        if self.outbox is not None:
            self.outbox.headers_only = headers_only

    @property
    def connected(self) -> bool:
        """True if events arrive: by the broker, where it carries any."""
        if self._receives_broker:
            return self._receiver.connected
        return self.outbox is not None and self.outbox.connected

    @property
    def is_durable(self) -> bool:
        """True if the broker keeps events while no monitor reads."""
        return self._receiver.is_durable

    def get_listening_start(self) -> float:
        """Return since when nothing was cut that events come by (unix seconds)."""
        since = self._receiver.connected_since if self._receives_broker else 0.0
        if self.outbox is not None and (
            self.outbox.exists or not self._receives_broker
        ):
            since = max(since, self.outbox.connected_since)
        return since

    def get_read_until(self, now: float) -> float:
        """Return the time before which all events are received (unix seconds).

        Those of the outbox are stored as well.
        """
        until = self._receiver.get_read_until(now)
        return until if self.outbox is None else self.outbox.get_read_until(until)

    @property
    def problem(self) -> str:
        """Why no events arrive, as a sentence; empty if they do."""
        outbox = self.outbox.problem if self.outbox is not None else ""
        return self._receiver.problem or outbox

    def make_outbox_view(self) -> OutboxView | None:
        """Return the view of the outbox, if there can be one."""
        return None if self.outbox is None else self.outbox.make_view()

    def list_counts(self) -> dict[str, int]:
        """Return the counters of the connections and of the outbox."""
        counts = {"reconnects": self._receiver.reconnects}
        if self.outbox is not None:
            for name in StreamCounts.__struct_fields__:
                counts[f"outbox_{name}"] = self.outbox.count(name)
        return counts
