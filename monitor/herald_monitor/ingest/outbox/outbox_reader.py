"""The reader of the outbox: a thread and a connection for each of its streams."""

from __future__ import annotations

import threading
import time

from celery import Celery

from herald_core.model.monitors import OutboxView
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.ingest.consumers.envelope import OnInvalid, decode_fast
from herald_monitor.ingest.consumers.event_header import FastDecoder, decode_headers
from herald_monitor.ingest.outbox.consumer_group import GroupConsumer
from herald_monitor.ingest.outbox.entry_delivery import (
    MAX_UNCONFIRMED_EVENTS,
    Deliver,
    ReaderCallbacks,
)
from herald_monitor.ingest.outbox.losses import OnLoss
from herald_monitor.ingest.outbox.options import OutboxOptions, name_outbox
from herald_monitor.ingest.outbox.stream_connection import open_connection
from herald_monitor.ingest.outbox.stream_reader import StreamReader


class OutboxReader:
    """Reads all streams of the outbox for the monitor `node`.

    `deliver(events, heard, ack)` gets each entry with its time of arrival at Redis
    (unix seconds), `on_loss` what can never be read, `on_invalid` what cannot be
    decoded. All are called on the threads of the streams.
    """

    def __init__(
        self,
        app: Celery,
        options: OutboxOptions,
        node: str,
        *,
        deliver: Deliver,
        on_loss: OnLoss,
        on_invalid: OnInvalid,
    ) -> None:
        self.headers_only = False
        self._app = app
        self._options = options
        self._node = node
        self._started_at = time.time()
        callbacks = ReaderCallbacks(deliver, on_loss, on_invalid, self._get_decoder)
        self._readers = [
            self._make_reader(number, stream, callbacks)
            for number, stream in enumerate(options.list_streams())
        ]
        self._threads: list[threading.Thread] = []

    def _make_reader(
        self, number: int, stream: str, callbacks: ReaderCallbacks
    ) -> StreamReader:
        def connect() -> GroupConsumer:
            connection = open_connection(self._app, self._options, stream)
            return GroupConsumer(connection, stream, self._options.group, self._node)

        return StreamReader(
            stream,
            self._options.group,
            self._node,
            self._options.keep,
            connect,
            callbacks,
            MAX_UNCONFIRMED_EVENTS // self._options.streams,
            number if self._options.streams > 1 else None,
        )

    def _get_decoder(self) -> FastDecoder:
        return decode_headers if self.headers_only else decode_fast

    def start(self, *, expects_history: bool) -> None:
        """Begin to read. With `expects_history` the store holds what was earlier."""
        self._started_at = time.time()
        for number, reader in enumerate(self._readers):
            reader.expects_history = expects_history
            thread = threading.Thread(
                target=reader.run, name=f"outbox-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def pause(self) -> None:
        """Take no more entries; acknowledge those that are stored."""
        for reader in self._readers:
            reader.pause()

    def stop(self, timeout: float) -> None:
        """Acknowledge what is stored and return, within `timeout` seconds."""
        for reader in self._readers:
            reader.stop()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    @property
    def connected(self) -> bool:
        """True if all streams are read, or would be if they existed."""
        return all(reader.progress.connected for reader in self._readers)

    @property
    def connected_since(self) -> float:
        """The start of reading without a break (unix seconds)."""
        return max(reader.progress.connected_since for reader in self._readers)

    @property
    def exists(self) -> bool:
        """True once a stream was found: there are processes that write to it."""
        return any(reader.progress.exists for reader in self._readers)

    @property
    def has_checked(self) -> bool:
        """True once it is known whether there are streams and groups."""
        return all(reader.progress.checked_at for reader in self._readers)

    @property
    def has_position(self) -> bool:
        """True if each stream is read on from where a monitor had stopped."""
        found = [one.progress for one in self._readers]
        return all(one.exists and not one.created_group for one in found)

    @property
    def problem(self) -> str:
        """Why entries are not read, or not trimmed, as a sentence; or empty."""
        for reader in self._readers:
            if reader.problem:
                where = name_outbox(self._options, get_broker_name(self._app))
                return f"the outbox at {where}: {reader.problem}"
        return ""

    def get_read_until(self, now: float) -> float:
        """Return the time before which all entries are read and stored (unix s).

        Those that any monitor holds count. An outbox on the broker counts once it was
        found: most brokers have none.
        """
        until = min(one.progress.get_read_until(now) for one in self._readers)
        if self._options.url is not None and not (self.exists or self.connected):
            return min(until, self._started_at)
        return until

    def count(self, name: str) -> int:
        """Return a counter of `StreamCounts`, over all streams."""
        return sum(int(getattr(one.counts, name)) for one in self._readers)

    def make_view(self) -> OutboxView:
        """Return the view of the outbox."""
        found = [reader.progress for reader in self._readers]
        unread = [one.unread for one in found]
        return OutboxView(
            connected=self.connected,
            exists=self.exists,
            streams=len(found),
            unread=None if None in unread else sum(one or 0 for one in unread),
            pending=sum(one.pending for one in found),
            lag_ms=round(1000 * max(one.behind_s for one in found)),
        )
