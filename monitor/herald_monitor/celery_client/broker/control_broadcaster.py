"""Messages of the receiver to the broker: probes, and requests to the workers."""

import contextlib
import heapq
import logging
import os
import socket
import threading
import time
from collections import deque
from typing import Any, cast

from celery import Celery
from celery.events.event import get_exchange
from kombu import Connection, Producer

from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
)

logger = logging.getLogger(__name__)

PROBE_EVENT = "herald-probe"
"""Type of the event by which a receiver checks its subscription."""

ENABLE_EVENTS = "enable_events"
HEARTBEAT = "heartbeat"

ENABLE_DELAYS_S = (0.0, 0.3, 1.0, 3.0)
"""Seconds until workers are asked once more: a worker sends `worker-online` before it
receives requests."""

REFRESH_S = 30.0
"""Seconds between requests for events without any reason."""

PROBE_MARGIN_S = 0.1
"""Requests that are due in less than this many seconds of each other are merged."""

MAX_PENDING_PROBES = 100
"""Probes that are waited for."""

DueMessage = tuple[float, str]


class ControlBroadcaster:
    """A thread with a connection of its own, which blocks no other thread.

    A message that cannot be sent is dropped with the connection; the requests are
    repeated on the next reconnect anyway.
    """

    def __init__(self, app: Celery, node_name: str, probe_every: float) -> None:
        self._app = app
        self._node_name = node_name
        self._probe_every = probe_every
        self._due: list[DueMessage] = []
        self.pending_probes: deque[float] = deque(maxlen=MAX_PENDING_PROBES)
        """The send times of the probes that did not come back yet, in unix seconds."""
        self._changed = threading.Condition()
        self._stopping = False
        self._renew_at = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._producer: Any = None

    def start(self) -> None:
        """Start the thread; it connects for its first message."""
        self._thread = threading.Thread(
            target=self._run, name="herald-broadcaster", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float = 0.25) -> None:
        """Stop the thread, or abandon it if the broker blocks it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def resume(self) -> None:
        """Send all messages again on a new connection: the stream is new."""
        now = time.monotonic()
        with self._changed:
            self._renew_at = True
            self._due = sorted([(now, PROBE_EVENT), (now, HEARTBEAT)])  # a heap
            self.pending_probes.clear()
        self.ask_for_events()

    def match_probe(self, sent: float) -> bool:
        """Return True if the probe `sent` then is ours; all before it are through."""
        with self._changed:
            if sent not in self.pending_probes:
                return False
            while self.pending_probes.popleft() != sent:
                pass
            return True

    def get_oldest_probe(self) -> float | None:
        """Return when the oldest probe was sent that did not come back yet."""
        with self._changed:
            return self.pending_probes[0] if self.pending_probes else None

    def pause(self) -> None:
        """Send nothing until `resume`: the stream is interrupted."""
        with self._changed:
            self._due = []

    def ask_for_events(self) -> None:
        """Ask all workers to send task events, now and a little later."""
        now = time.monotonic()
        with self._changed:
            for delay in ENABLE_DELAYS_S:
                self._schedule(now + delay, ENABLE_EVENTS)
            self._changed.notify()

    def _schedule(self, due: float, what: str) -> None:
        near = (
            abs(due - other) <= PROBE_MARGIN_S
            for other, kind in self._due
            if kind == what
        )
        if not any(near):
            heapq.heappush(self._due, (due, what))

    def _run(self) -> None:
        while (what := self._wait_for_next()) is not None:
            try:
                self._send(what)
            except Exception as error:  # any library's error: try afresh
                logger.debug("Could not send %s: %s", what, error)
                self._drop_connection()
                self._hasten_probe()
        self._drop_connection()

    def _wait_for_next(self) -> str | None:
        """Wait for the next due message, and schedule the periodic ones."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    _, what = heapq.heappop(self._due)
                    self._schedule_next(what, now)
                    return what
                self._changed.wait(self._due[0][0] - now if self._due else None)
        return None

    def _schedule_next(self, what: str, now: float) -> None:
        if what == PROBE_EVENT:
            heapq.heappush(self._due, (now + self._probe_every, PROBE_EVENT))
        elif what == ENABLE_EVENTS and all(
            kind != ENABLE_EVENTS for _, kind in self._due
        ):
            heapq.heappush(self._due, (now + REFRESH_S, ENABLE_EVENTS))

    def _hasten_probe(self) -> None:
        """Probe again on a new connection before the probe is missed."""
        soon = time.monotonic() + min(0.5, self._probe_every / 4)
        with self._changed:
            if self._due:
                others = [(due, what) for due, what in self._due if what != PROBE_EVENT]
                self._due = sorted([(soon, PROBE_EVENT), *others])

    def _send(self, what: str) -> None:
        if self._renew_at:
            self._renew_at = False
            self._drop_connection()
        if self._producer is None:
            self._connection = connection = connect_broker(self._app, write_timeout=4)
            channel = cast(Any, connection).channel()
            self._producer = Producer(channel, auto_declare=False)
        if what == PROBE_EVENT:
            self._send_probe()
        else:
            self._send_request(what)

    def _send_probe(self) -> None:
        exchange = get_exchange(
            self._connection, name=cast(Any, self._app.conf).event_exchange
        )
        sent = time.time()
        with self._changed:
            self.pending_probes.append(sent)
        try:
            self._publish_probe(exchange, sent)
        except BaseException:
            with self._changed, contextlib.suppress(ValueError):
                self.pending_probes.remove(sent)
            raise

    def _publish_probe(self, exchange: Any, sent: float) -> None:
        event: dict[str, object] = {
            "type": PROBE_EVENT,
            "hostname": self._node_name,
            "pid": os.getpid(),
            "timestamp": sent,
            "utcoffset": 0,
            "clock": 0,
        }
        self._producer.publish(
            event,
            exchange=exchange.name,
            routing_key=PROBE_EVENT.replace("-", "."),
            declare=[exchange],
            serializer="json",
            headers={"hostname": socket.gethostname()},
            delivery_mode=1,
        )

    def _send_request(self, command: str) -> None:
        """Send the message of `app.control.broadcast`, but without its retries.

        A retry would wait inside kombu, for ever, for a broker that is down.
        """
        mailbox = cast(Any, self._app).control.mailbox(self._connection)
        request: dict[str, object] = {
            "method": command,
            "arguments": {},
            "destination": None,
            "pattern": None,
            "matcher": None,
        }
        self._producer.publish(
            request,
            exchange=mailbox.exchange.name,
            declare=[mailbox.exchange],
            serializer=mailbox.serializer,
            headers={"clock": mailbox.clock.forward(), "expires": 0},
        )

    def _drop_connection(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            drop_connection(connection)
