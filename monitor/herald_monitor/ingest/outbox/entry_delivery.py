"""Hands entries of a stream over, and knows which of them are not stored yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import OnInvalid
from herald_monitor.ingest.consumers.event_header import FastDecoder, WireEvent
from herald_monitor.ingest.outbox.consumer_group import Entry
from herald_monitor.ingest.outbox.entries import (
    decode_entry,
    find_dropped,
    parse_fields,
)
from herald_monitor.ingest.outbox.in_flight import EntriesInFlight
from herald_monitor.ingest.outbox.losses import (
    OnLoss,
    OutboxLoss,
    describe_dropped,
    describe_failed,
)
from herald_monitor.ingest.outbox.stream_info import parse_entry_id

log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Sequence[WireEvent], float, Ack], None]

MAX_UNCONFIRMED_EVENTS = 40_000
MAX_UNCONFIRMED_BYTES = 60_000_000
"""Events that one stream may have on their way to the store, and their bytes; beyond,
nothing is read: Redis keeps the rest."""


class StreamCounts(msgspec.Struct):
    """What one reader did since it was made."""

    entries: int = 0
    events: int = 0
    claimed: int = 0
    lost: int = 0
    """Entries that were lost; those of an unknown number count as one."""
    dropped: int = 0
    """Events that processes dropped before they reached the stream."""
    trimmed: int = 0
    reconnects: int = 0


class ReaderCallbacks(msgspec.Struct, frozen=True):
    """Where a reader puts what it finds; called on its thread."""

    deliver: Deliver
    on_loss: OnLoss
    on_invalid: OnInvalid
    get_decoder: Callable[[], FastDecoder]


class EntryDelivery:
    """The way of entries of one stream to the store. For one thread."""

    def __init__(
        self, stream: str, callbacks: ReaderCallbacks, max_events: int
    ) -> None:
        self.counts = StreamCounts()
        self.in_flight = EntriesInFlight()
        self._stream = stream
        self._callbacks = callbacks
        self._max_events = max_events

    @property
    def is_full(self) -> bool:
        """True if so much is not stored that no more should be read."""
        flying = self.in_flight
        return flying.events >= self._max_events or flying.bytes > MAX_UNCONFIRMED_BYTES

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Hand the events of some entries over."""
        for entry_id, flat in entries:
            self._deliver_entry(entry_id, flat or ())

    def _deliver_entry(self, entry_id: bytes, flat: Sequence[bytes]) -> None:
        fields = parse_fields(flat)
        decode = self._callbacks.get_decoder()
        events = decode_entry(fields, decode, self._callbacks.on_invalid)
        size = sum(map(len, flat))
        ack = self.in_flight.add(entry_id, len(events), size)
        self.counts.entries += 1
        self.counts.events += len(events)
        if (dropped := find_dropped(fields)) is not None:
            self.counts.dropped += dropped.number
            self._publish(describe_dropped(self._stream, entry_id, dropped))
        if not events:
            ack.confirm()
            return
        heard = parse_entry_id(entry_id).ms / 1000
        try:
            self._callbacks.deliver(events, heard, ack)
        except Exception:
            log.exception("An entry of the outbox could not be handed over")
            ack.confirm()  # it would fail again, for ever
            self.report(describe_failed(self._stream, entry_id, len(events)), 1)

    def report(self, loss: OutboxLoss, number: int) -> None:
        """Count lost entries, and let a gap be opened."""
        self.counts.lost += number
        log.warning("%s", loss.reason)
        self._publish(loss)

    def _publish(self, loss: OutboxLoss) -> None:
        try:
            self._callbacks.on_loss(loss)
        except Exception:
            log.exception("A loss could not be recorded; reading goes on")
