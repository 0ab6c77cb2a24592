"""Recording: what comes from the broker, written down as it was heard."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from celery import Celery

from herald_monitor.broadcaster import PROBE
from herald_monitor.receiver import Receiver
from herald_monitor.recording import Message
from herald_monitor.tickets import Ticket
from herald_monitor.unread import Said
from herald_monitor.wire import RawEvent

log = logging.getLogger(__name__)

GLANCE = 0.1
"""Seconds between two looks at whether to stop."""

MOST_WAITING = 100_000
"""Messages that wait to be written; what comes beyond them is left out."""


class Tape:
    """A receiver of `app`'s events and a `write` that is given each message.

    `write` is called where `run` is, so that a slow disk does not keep the receiver
    from reading. `events` and `messages` count what was written, `left_out` what
    was not.
    """

    def __init__(self, app: Celery, write: Callable[[Message], None]) -> None:
        self._write = write
        self._heard: queue.Queue[Message] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._receiver = Receiver(
            app,
            deliver=self._deliver,
            lost_touch=self._lost_touch,
            poison=self._poison,
            tap=self._tap,
        )
        self.events = 0
        self.messages = 0
        self.left_out = 0

    def run(self, seconds: float | None = None, count: int | None = None) -> None:
        """Record for some `seconds`, or `count` events, or until `stop`.

        The last message is written whole, so there may be a few events more.
        """
        thread = threading.Thread(target=self._receiver.run, name="tape", daemon=True)
        thread.start()
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while not self._stopping.is_set() and not self._is_over(until, count):
                self._next()
        finally:
            self._receiver.stop()
            thread.join(2.0)
        while not self._is_over(None, count) and not self._heard.empty():
            self._next()

    def stop(self) -> None:
        """Make `run` return; callable from a signal's receiver."""
        self._stopping.set()

    def _is_over(self, until: float | None, count: int | None) -> bool:
        if count is not None and self.events >= count:
            return True
        return until is not None and time.monotonic() >= until

    def _next(self) -> None:
        try:
            message = self._heard.get(timeout=GLANCE)
        except queue.Empty:
            return
        self._write(message)
        self.messages += 1
        self.events += len(message.events)

    # -- on the receiver's thread ---------------------------------------------------

    def _tap(self, events: list[RawEvent], routing_key: str) -> None:
        said = [event for event in events if event["type"] != PROBE]
        if said:
            now = time.time()
            self._keep(Message(heard=now, routing_key=routing_key, events=said))

    def _poison(self, body: bytes, reason: str) -> None:
        text = f"{reason} {body.decode('utf-8', 'replace')}"
        self._keep(Message(heard=time.time(), unread=text))

    def _keep(self, message: Message) -> None:
        try:
            self._heard.put_nowait(message)
        except queue.Full:
            self.left_out += 1

    def _deliver(self, _batch: list[Said], _heard: float, ticket: Ticket) -> None:
        ticket.confirm()

    def _lost_touch(self, since: float, until: float, reason: str) -> None:
        log.warning(
            "Events of %.1f s may be missing in the recording (%s).",
            until - since,
            reason,
        )
