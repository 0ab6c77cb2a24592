"""What the receiver says to the broker: probes, and requests to the workers."""

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

from herald_monitor.consumers import broker_connection, let_go

logger = logging.getLogger(__name__)

PROBE = "herald-probe"
"""Type of the event by which a receiver finds out whether it still hears."""

ENABLE = "enable_events"
HEARTBEAT = "heartbeat"

AGAIN = (0.0, 0.3, 1.0, 3.0)
"""Seconds after which workers are asked once more: a worker says that it is
online before it listens to requests."""

REFRESH = 30.0
"""Seconds between requests for events without any reason."""

NEAR = 0.1
"""Requests that fall due within so many seconds of each other are one."""

MOST_UNDER_WAY = 100
"""Probes that are waited for."""

Due = tuple[float, str]


class Broadcaster:
    """A thread with a connection of its own, on which nobody waits.

    What cannot be sent is dropped with the connection; the requests are
    repeated on the next reconnect anyway.
    """

    def __init__(self, app: Celery, node_name: str, probe_every: float) -> None:
        self._app = app
        self._node_name = node_name
        self._probe_every = probe_every
        self._due: list[Due] = []
        self.under_way: deque[float] = deque(maxlen=MOST_UNDER_WAY)
        """When the probes were sent that did not come back yet, in unix seconds."""
        self._changed = threading.Condition()
        self._stopping = False
        self._renew = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._producer: Any = None

    def start(self) -> None:
        """Start the thread; it connects when there is something to say."""
        self._thread = threading.Thread(
            target=self._run, name="herald-broadcaster", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float = 0.25) -> None:
        """End the thread, or leave it behind if the broker holds it up."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def begin(self) -> None:
        """Say everything afresh on a new connection: the stream is new."""
        now = time.monotonic()
        with self._changed:
            self._renew = True
            self._due = sorted([(now, PROBE), (now, HEARTBEAT)])  # a heap
            self.under_way.clear()
        self.ask_for_events()

    def came_back(self, sent: float) -> bool:
        """Return True if the probe `sent` then is ours; all before it are through."""
        with self._changed:
            if sent not in self.under_way:
                return False
            while self.under_way.popleft() != sent:
                pass
            return True

    def oldest_under_way(self) -> float | None:
        """Return when the oldest probe was sent that did not come back yet."""
        with self._changed:
            return self.under_way[0] if self.under_way else None

    def pause(self) -> None:
        """Say nothing until `begin`: the stream is cut."""
        with self._changed:
            self._due = []

    def ask_for_events(self) -> None:
        """Ask all workers to send task events, now and a little later."""
        now = time.monotonic()
        with self._changed:
            for delay in AGAIN:
                self._plan(now + delay, ENABLE)
            self._changed.notify()

    def _plan(self, due: float, what: str) -> None:
        near = (abs(due - other) <= NEAR for other, kind in self._due if kind == what)
        if not any(near):
            heapq.heappush(self._due, (due, what))

    def _run(self) -> None:
        while (what := self._next()) is not None:
            try:
                self._send(what)
            except Exception as error:  # any library's error: try afresh
                logger.debug("Could not send %s: %s", what, error)
                self._drop()
                self._probe_soon()
        self._drop()

    def _next(self) -> str | None:
        """Wait for what is due, and plan what is due regularly."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    _, what = heapq.heappop(self._due)
                    self._plan_next(what, now)
                    return what
                self._changed.wait(self._due[0][0] - now if self._due else None)
        return None

    def _plan_next(self, what: str, now: float) -> None:
        if what == PROBE:
            heapq.heappush(self._due, (now + self._probe_every, PROBE))
        elif what == ENABLE and all(kind != ENABLE for _, kind in self._due):
            heapq.heappush(self._due, (now + REFRESH, ENABLE))

    def _probe_soon(self) -> None:
        """Probe again on a new connection before anybody misses the probe."""
        soon = time.monotonic() + min(0.5, self._probe_every / 4)
        with self._changed:
            if self._due:
                others = [(due, what) for due, what in self._due if what != PROBE]
                self._due = sorted([(soon, PROBE), *others])

    def _send(self, what: str) -> None:
        if self._renew:
            self._renew = False
            self._drop()
        if self._producer is None:
            self._connection = connection = broker_connection(
                self._app, write_timeout=4
            )
            channel = cast(Any, connection).channel()
            self._producer = Producer(channel, auto_declare=False)
        if what == PROBE:
            self._send_probe()
        else:
            self._send_request(what)

    def _send_probe(self) -> None:
        exchange = get_exchange(
            self._connection, name=cast(Any, self._app.conf).event_exchange
        )
        sent = time.time()
        with self._changed:
            self.under_way.append(sent)
        try:
            self._publish_probe(exchange, sent)
        except BaseException:
            with self._changed, contextlib.suppress(ValueError):
                self.under_way.remove(sent)
            raise

    def _publish_probe(self, exchange: Any, sent: float) -> None:
        event: dict[str, object] = {
            "type": PROBE,
            "hostname": self._node_name,
            "pid": os.getpid(),
            "timestamp": sent,
            "utcoffset": 0,
            "clock": 0,
        }
        self._producer.publish(
            event,
            exchange=exchange.name,
            routing_key=PROBE.replace("-", "."),
            declare=[exchange],
            serializer="json",
            headers={"hostname": socket.gethostname()},
            delivery_mode=1,
        )

    def _send_request(self, command: str) -> None:
        """Send what `app.control.broadcast` sends, but without its retries.

        It would wait inside kombu, for ever, for a broker that is down.
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

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            let_go(connection)
