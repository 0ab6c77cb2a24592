"""The capture of a broker's events to a recording."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from celery import Celery

from herald_monitor.celery_client.broker.control_broadcaster import PROBE_EVENT
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import WireEvent
from herald_monitor.ingest.receiver import Receiver
from herald_monitor.ingest.recordings.format import RecordedMessage

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.1
"""Seconds between two checks for a stop."""

MAX_WAITING_MESSAGES = 100_000
"""Messages that wait to be written; what comes beyond them is left out."""


class EventCapture:
    """A receiver of `app`'s events and a `write` that gets each message.

    `write` is called where `run` is, so that a slow disk does not block the receiver.
    `events` and `messages` count what was written, `dropped` what was not.
    """

    def __init__(self, app: Celery, write: Callable[[RecordedMessage], None]) -> None:
        self._write = write
        self._queue: queue.Queue[RecordedMessage] = queue.Queue(MAX_WAITING_MESSAGES)
        self._stopping = threading.Event()
        self._receiver = Receiver(
            app,
            deliver=self._deliver,
            lost_touch=self._on_gap,
            poison=self._on_invalid,
            tap=self._on_message,
        )
        self.events = 0
        self.messages = 0
        self.dropped = 0

    def run(self, seconds: float | None = None, count: int | None = None) -> None:
        """Record for some `seconds`, or `count` events, or until `stop`.

        The last message is written whole, so there may be a few events more.
        """
        thread = threading.Thread(target=self._receiver.run, name="tape", daemon=True)
        thread.start()
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while not self._stopping.is_set() and not self._is_over(until, count):
                self._write_next()
        finally:
            self._receiver.stop()
            thread.join(2.0)
        while not self._is_over(None, count) and not self._queue.empty():
            self._write_next()

    def stop(self) -> None:
        """Make `run` return; callable from a signal's receiver."""
        self._stopping.set()

    def _is_over(self, until: float | None, count: int | None) -> bool:
        if count is not None and self.events >= count:
            return True
        return until is not None and time.monotonic() >= until

    def _write_next(self) -> None:
        try:
            message = self._queue.get(timeout=POLL_INTERVAL_S)
        except queue.Empty:
            return
        self._write(message)
        self.messages += 1
        self.events += len(message.events)

    # -- on the receiver's thread ---------------------------------------------------

    def _on_message(self, events: list[RawEvent], routing_key: str) -> None:
        said = [event for event in events if event["type"] != PROBE_EVENT]
        if said:
            now = time.time()
            self._enqueue(
                RecordedMessage(heard=now, routing_key=routing_key, events=said)
            )

    def _on_invalid(self, body: bytes, reason: str) -> None:
        text = f"{reason} {body.decode('utf-8', 'replace')}"
        self._enqueue(RecordedMessage(heard=time.time(), unread=text))

    def _enqueue(self, message: RecordedMessage) -> None:
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def _deliver(self, _batch: list[WireEvent], _heard: float, ticket: Ack) -> None:
        ticket.confirm()

    def _on_gap(self, since: float, until: float, reason: str) -> None:
        log.warning(
            "Events of %.1f s may be missing in the recording (%s).",
            until - since,
            reason,
        )
